"""Mirrors: registries that hold the images that clients pulled from others, under unchanged names."""
