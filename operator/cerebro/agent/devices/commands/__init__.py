"""Runs the DeviceCommands of a Device on a connection of their own, each at most once (rule C2)."""
