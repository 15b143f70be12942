"""Training runs: what surrounds the step of `ranet_jax.train`."""
