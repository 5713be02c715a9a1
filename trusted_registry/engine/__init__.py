"""Engine: questions and orders to a Docker Engine, and its answers."""
