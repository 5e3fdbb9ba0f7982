"""What a run carries to every party: a few lines, no rows, no paths."""
