"""What several processes must agree on: when a Session ends, what stands in its place, what a condition means. Pure."""
