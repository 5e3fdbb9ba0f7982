"""Evidence, line L15."""
