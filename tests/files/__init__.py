"""The disk: what is written, installed, locked and taken away."""
