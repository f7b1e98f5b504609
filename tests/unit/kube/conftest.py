"""Unit tests of `cerebro.kube`: no network, no files but temporary ones, no real time where time decides.

Faked: the API server (a few lines in each test). What needs a real one is in `tests/integration/kube`.
"""
