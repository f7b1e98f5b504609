"""Menus of RouterOS as data."""
