"""Is it still true? Forecasts of the log beside the readings that came later."""
