"""Which Peers of a Hub are accepted, what is planned for them, and what their statuses say."""
