"""Benchmarks: one folder per question. Not part of the test suite."""
