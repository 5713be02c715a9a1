"""Trust: what is written for each client, and how it is taken back."""
