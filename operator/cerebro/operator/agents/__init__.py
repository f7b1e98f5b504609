"""Agents that no longer renew their Lease, and what the objects that they
owned report then (rule E12).
"""
