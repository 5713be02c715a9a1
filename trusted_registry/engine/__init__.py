"""Engine: what is asked of a Docker Engine, and what it answers."""
