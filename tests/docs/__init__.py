"""Pages for readers: their commands, their links, and the shapes that they promise."""
