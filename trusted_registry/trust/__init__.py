"""What each client must be told, where it looks, and how that is taken back."""
