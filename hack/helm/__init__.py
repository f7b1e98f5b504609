"""Helm for the chart in `deploy/chart`: the program, built from its Go module,
and what of the chart is copied from elsewhere in `deploy/`.
"""
