"""A finished model trained on, when interactions and items were added to its data."""
