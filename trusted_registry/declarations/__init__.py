"""Declarations of the tasks, one module a collection: name, sentence, flags, and the function that does the work."""
