"""The hotspot users that Sessions of a Device name: which are wanted, their
passwords, and the pass that makes the router's users so.
"""
