"""Managed blocks: our lines in files that are others' too, with proof that nothing else in them changed."""
