"""What a process knows of the cluster: watched by kopf, compared with lists,
kept in a Store.

The only place that knows kopf.
"""
