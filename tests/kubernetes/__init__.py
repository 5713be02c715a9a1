"""Manifests for a cluster, and the script that keeps a node's trust."""
