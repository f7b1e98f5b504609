"""Cérebro."""
