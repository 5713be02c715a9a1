"""Faults on purpose: what they cost, counted."""
