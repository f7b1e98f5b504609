"""WireGuard as it is and as it should be: model, plan, and what carries it
(kernel, userspace, dry run).
"""
