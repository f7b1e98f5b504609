"""Whether IPv6 leads past the hotspot of a router. Pure."""
