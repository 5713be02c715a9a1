"""Instances: from the settings to a container that runs, and its replacement."""
