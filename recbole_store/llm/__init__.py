"""The one language model: its files, loading, stages, precision, batches of tokens."""
