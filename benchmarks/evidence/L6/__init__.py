"""Evidence, line L6."""
