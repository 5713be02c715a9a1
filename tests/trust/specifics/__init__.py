"""What is one client's own."""
