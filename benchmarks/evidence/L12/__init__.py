"""Evidence, line L12."""
