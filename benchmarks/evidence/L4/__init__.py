"""Evidence, line L4."""
