"""Evidence, line L8."""
