"""Archives: images, and a whole registry with its trust, in one file that goes from one machine to another."""
