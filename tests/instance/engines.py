"""What is done to an engine, step by step, as the fake one notes it."""

REPLACED = ["start rehearsal", "kill rehearsal", "rename", "create", "retire before", "start", "kill before"]
"""A registry that proved itself takes another one's place."""
