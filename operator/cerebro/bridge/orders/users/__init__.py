"""Hotspot users that callers ask for (F8): from what was asked to the Session."""
