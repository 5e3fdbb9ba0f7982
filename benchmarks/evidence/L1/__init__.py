"""Evidence, line L1."""
