"""What only one client needs: its own files, its own words, and how it is asked."""
