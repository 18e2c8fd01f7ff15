"""The item tokenizers by name: a new one is a new class and a line here and in the settings."""

from __future__ import annotations

from recbole_store.tokenizer.quantizers.base import Quantizer
from recbole_store.tokenizer.quantizers.palette import Palette
from recbole_store.tokenizer.quantizers.random_codes import RandomCodes
from recbole_store.tokenizer.quantizers.residual_kmeans import ResidualKMeans
from recbole_store.tokenizer.quantizers.rqvae import RQVAE
from recbole_store.tokenizer.quantizers.tower_kmeans import TowerKMeans

QUANTIZERS: dict[str, type[Quantizer]] = {
    "palette": Palette,
    "tower": TowerKMeans,
    "rqvae": RQVAE,
    "rqkmeans": ResidualKMeans,
    "random": RandomCodes,
}


def make_quantizer(settings, width: int, n_items: int) -> Quantizer:
    """The tokenizer that ``settings["tokenizer"]`` names, not fitted yet.

    Args:
        settings: a mapping with ``tokenizer``, ``n_slots``, ``codebook_size`` and its own keys.
        width: H, of the vectors that it will read.
        n_items: that it will be fitted on, without padding and cold items.
    """
    kind = QUANTIZERS[settings["tokenizer"]]
    own = {key: settings[key] for key in kind.keys}
    return kind(settings["n_slots"], settings["codebook_size"], width, n_items, **own)
