"""Kubernetes: calls, the watched objects of a process, Leases, Events and
statuses.

It knows the kinds and no work: what is decided about an object is in `domain`
and in the processes.
"""
