"""``tower``: residual k-means on the text tower's vectors."""

from __future__ import annotations

from recbole_store.tokenizer.quantizers.base import TOWER_VECTOR
from recbole_store.tokenizer.quantizers.residual_kmeans import ResidualKMeans


class TowerKMeans(ResidualKMeans):
    """Codes of what goes with what, by texts alone; see recbole_store/tokenizer/text_tower.py."""

    reads = TOWER_VECTOR
