"""The bench: its command line, its bounds in time, and nothing left of it."""
