"""Lines in files that belong to others too."""
