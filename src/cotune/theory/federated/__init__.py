"""Linear toys of federated training, without a federation engine."""
