"""A real engine, a real registry, real pushes and pulls."""
