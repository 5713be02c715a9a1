"""Looks at the whole way from this machine to the registry and back, and says what is wrong with it."""
