"""The sections of a report, one file each; the table is in ``report/_sections.py``."""
