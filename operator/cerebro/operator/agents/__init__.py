"""Agents that no longer renew their Lease, and what is said of the objects they owned (E12)."""
