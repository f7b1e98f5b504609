"""Reads the bodies of requests into intents, or raises an ApiError 400 that
names the field. Pure.
"""
