"""Raw files -> atomic files with texts -> item texts; nothing here imports RecBole or torch."""
