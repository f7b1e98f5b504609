"""Releases of Cérebro that came before this one, out of git's history."""
