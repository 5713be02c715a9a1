"""What clients say, recognised and answered."""
