"""What the bridge tells of its decisions, for auditors: a line of JSON each."""
