"""The registry: what it should be, and what it answers."""
