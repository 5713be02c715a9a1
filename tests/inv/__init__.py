"""The wrapper, run for real in checkouts of a stand-in project: real venv, real pip, no package index."""
