"""Every headline claim of the papers, tested again: one folder per line."""
