"""The command `cerebro`: it begins in `main`, which starts processes; what people run once is in `options`.

Help must be there at once, so each command imports what it runs when it runs.
"""
