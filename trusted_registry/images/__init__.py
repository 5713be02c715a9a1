"""Images of the registry: those in its storage, the bytes of each on the disk, who pulls them, and damage."""
