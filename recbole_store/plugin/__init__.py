"""What lives inside RecBole: registration, patches, data sets, loaders, trainer, collector."""

from recbole_store.plugin.compatibility import mend_newer_versions

mend_newer_versions()  # before any module of this package imports RecBole
