"""lagdyna."""
