"""The tests; `nox -s tests` runs those that need no engine."""
