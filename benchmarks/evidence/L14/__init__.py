"""Evidence, line L14."""
