"""What a pass needs and neither the Store nor the interface has: preshared
keys, addresses of host names, the node's own ways. It is looked up beside the
passes: none of them waits for an API server or a name server.
"""
