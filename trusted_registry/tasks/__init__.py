"""The document's chapters as functions: each does what one task says, and tells what it did."""
