"""The local relay: all that Cérebro consists of and needs, in the background
of this machine.

`python -m local up`, `down` and `status`; all its files lie in `.local/` of
the checkout, or in `CEREBRO_LOCAL_FOLDER`, so that a second one can run beside
it.
"""
