"""What will be consumed? Pure: no network, no clock, no paths; "now" is always a parameter."""
