"""Images of the registry: what is in its storage, what each takes on the disk, who pulls it, and what is broken."""
