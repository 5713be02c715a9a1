"""Mirrors: registries that hold what clients pulled from others, under unchanged names."""
