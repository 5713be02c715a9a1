"""Tasks as functions: each does the work of one Invoke task and reports the result."""
