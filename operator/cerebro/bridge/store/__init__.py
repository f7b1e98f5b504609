"""What the bridge must not lose."""
