"""What lives inside RecBole: registration, patches, data sets, loaders, trainer, collector."""
