"""The registry's container: what it should be, where its image comes from, how it runs, what it answers."""
