"""One vendor, one file; `wiring.connect` chooses among them. No other room knows how a thing is kept."""
