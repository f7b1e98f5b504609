"""What this process knows of the cluster: watched by kopf, compared with lists, kept in a store."""
