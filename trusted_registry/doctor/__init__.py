"""Diagnosis of the whole path from this machine to the registry and back: facts, checks, findings and fixes."""
