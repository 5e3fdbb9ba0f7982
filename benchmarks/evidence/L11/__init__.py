"""Evidence, line L11."""
