"""Evidence, line L13."""
