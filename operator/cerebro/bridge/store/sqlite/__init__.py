"""The bridge's store in one SQLite file."""
