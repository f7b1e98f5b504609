"""Routers over HTTP: their tunnels and their bootstrap script."""
