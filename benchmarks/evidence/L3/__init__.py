"""Evidence, line L3."""
