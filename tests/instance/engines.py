"""What is done to an engine, step by step, as the fake one notes it."""

HANDED_OVER = ["start rehearsal", "kill rehearsal", "hand over"]
"""All that is done to an engine when another registry takes over in the same container."""
REPLACED = ["start rehearsal", "kill rehearsal", "rename", "create", "retire before", "start", "kill before"]
"""A registry that proved itself takes another one's place."""
