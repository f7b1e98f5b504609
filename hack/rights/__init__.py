"""The rights of our accounts as a table, and the page that is made of it."""
