"""What RecBole sees: one file a model, named after it in lower case."""
