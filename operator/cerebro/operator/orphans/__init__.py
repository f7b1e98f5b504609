"""Sessions and commands without a Device, and superseding Sessions that are
due (E12, A10).
"""
