"""Tests of the registry on a swarm."""
