"""What people run once against the API server: `cerebro bootstrap`, `cerebro export`. They change nothing."""
