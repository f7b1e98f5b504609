"""The command `cerebro`. `main` is where it begins."""
