"""A private Docker registry over TLS on an IP address, trusted by its clients, proved by push and pull."""
