"""What a certificate must say, two ways to make it, and one to check it."""
