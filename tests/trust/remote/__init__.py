"""Other machines: what they are handed, and what they say."""
