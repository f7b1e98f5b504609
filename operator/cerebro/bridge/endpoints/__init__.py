"""The endpoints, a file a family: each reads its request, has it done, and answers."""
