"""Evidence, line L5."""
