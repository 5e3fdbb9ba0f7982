"""The house of one client: all that happens there, and the one way out."""
