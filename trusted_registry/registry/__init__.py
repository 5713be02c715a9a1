"""The registry's container: its spec, the sources of its image, its start and stop, and checks of its answers."""
