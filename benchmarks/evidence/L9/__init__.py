"""Evidence, line L9."""
