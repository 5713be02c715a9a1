"""Lines of ours in files that belong to others too, and proof that nothing else in them changed."""
