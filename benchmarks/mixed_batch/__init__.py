"""See ``run.py``."""
