"""The bridge: HTTP of the billing backend, turned into Sessions. It holds no
router password and never dials a router.
"""
