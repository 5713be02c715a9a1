"""This machine: what is trusted, written, proved and taken back here."""
