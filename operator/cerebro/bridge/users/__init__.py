"""Hotspot users over HTTP (F8): the call, its answer, and their Secrets."""
