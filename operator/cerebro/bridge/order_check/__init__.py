"""The order check: whether the backend's own database says that an order was paid."""
