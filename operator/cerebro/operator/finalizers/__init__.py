"""Finalizers of Peers, Devices and Hubs: when they are set, and when they are
taken off.
"""
