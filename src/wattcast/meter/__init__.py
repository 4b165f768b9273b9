"""What was consumed, and do we believe it? Pure: no network, no clock; only `readers` opens a file, the one it is given."""
