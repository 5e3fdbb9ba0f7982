"""Evidence, line L10."""
