"""deblai."""
