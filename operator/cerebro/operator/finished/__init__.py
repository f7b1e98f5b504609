"""Finished Sessions: re-opened when they changed, deleted when their time is
over.
"""
