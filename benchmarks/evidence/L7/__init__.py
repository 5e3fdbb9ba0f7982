"""Evidence, line L7."""
