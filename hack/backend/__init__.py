"""A fake billing backend: it offers events, takes ACKs, and says on a control
path what it has seen.

It is made from the relay's contract alone and shares no code with Cérebro.
"""
