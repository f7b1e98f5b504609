"""Reads requests into intents, or says what is wrong with them. Pure."""
