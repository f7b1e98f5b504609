"""Finalizers: when they are set, and when an object is let go."""
