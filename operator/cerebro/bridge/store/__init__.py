"""The bridge's memory: `base` has the Protocols in the bridge's own words,
`sqlite` implements them in one file.

The rest of the bridge imports `base` only; `main` alone chooses the
implementation.
"""
