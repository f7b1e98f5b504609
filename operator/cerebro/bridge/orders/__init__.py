"""Orders: from what a backend asked for to Sessions, and to the answer."""
