"""Tunnel addresses and Peers for Devices, and routerIDs that several Devices have."""
