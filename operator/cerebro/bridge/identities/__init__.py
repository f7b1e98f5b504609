"""A customer as a portal knows it, by its `sid`: how its access is, and how its router is."""
