"""What clients say when a registry does not work: one table of messages, causes and cures."""
