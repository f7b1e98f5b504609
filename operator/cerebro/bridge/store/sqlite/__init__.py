"""The bridge's store in one SQLite file.

`store` implements the Protocols of `cerebro.bridge.store.base`; `engine` has
the file and its writer thread; the other files have the SQL of a table each,
as steps of a transaction.
"""
