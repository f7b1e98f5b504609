"""What several processes must agree on: when a Session ends, which one stands
in its place, what a condition means.

Pure: nothing here does I/O or asks a clock.
"""
