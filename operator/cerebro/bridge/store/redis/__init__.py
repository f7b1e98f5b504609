"""The bridge's store on a Redis, for several bridges.

`store` implements the Protocols of `cerebro.bridge.store.base`; `engine` has
the connections; `claims` knows which entries of the inbox are this bridge's;
`scripts` has what must happen in a single step; the other files have a subject
each.
"""
