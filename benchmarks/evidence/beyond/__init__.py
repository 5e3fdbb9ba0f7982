"""What was searched beyond the papers: the factor that the data favour."""
