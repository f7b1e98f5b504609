"""Secrets that the bridge makes and deletes, and never reads (D1, D2)."""
