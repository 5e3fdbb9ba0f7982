"""Evidence, line L2."""
