"""Calls to the API server: where it is, one request, the calls that we make,
and their errors.
"""
