"""This machine: what is trusted here, what is to change, the change, its proof, and how it is taken back."""
