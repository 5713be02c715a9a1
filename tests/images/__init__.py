"""Images in the storage of a registry: listed, measured, found broken, mended."""
