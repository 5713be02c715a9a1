"""Messages of clients when a registry does not work: one table with causes and cures."""
