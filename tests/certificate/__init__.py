"""Certificates: made, issued, read and judged."""
