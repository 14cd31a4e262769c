"""CarRacing in JAX: Gymnasium's CarRacing-v3, batched and traced."""
