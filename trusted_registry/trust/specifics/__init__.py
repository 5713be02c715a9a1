"""Specifics of single clients: their own files, commands and messages."""
