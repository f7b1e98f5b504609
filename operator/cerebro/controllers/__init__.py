"""Loops of agent and operator: each owns one thing that is written to, and keeps it equal to the objects."""
