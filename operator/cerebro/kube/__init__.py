"""Kubernetes: the few calls we make, the watcher that feeds our store, its completeness check, Leases. Knows
resources only.
"""
