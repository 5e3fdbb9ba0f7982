"""The server: rounds over messages, whatever clients do."""
