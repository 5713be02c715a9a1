"""X.509 certificates: their contents, two ways to make them, and the rules that clients hold them to."""
