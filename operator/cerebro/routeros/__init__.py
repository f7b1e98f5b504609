"""Talking to a MikroTik router over its binary API, and the pure plans of what
to change there.
"""
