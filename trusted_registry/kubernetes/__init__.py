"""A cluster that runs the registry: its objects as manifests, and as a chart."""
