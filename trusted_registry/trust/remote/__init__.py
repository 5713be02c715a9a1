"""Other machines: what they are handed, how they get it, and what they say."""
