"""Training data: published sets, folders, and the examples and batches made of them."""

DEFAULT_DATA_DIR = "~/tensorflow_datasets"  # where built sets are kept
