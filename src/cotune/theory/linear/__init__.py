"""CoLoRA on heterogeneous linear regression."""
