"""Builds the container image and says what is in it."""
