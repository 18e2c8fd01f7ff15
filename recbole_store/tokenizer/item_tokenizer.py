"""Texts -> dense tokens -> codes: one object that does it for known, cold and new items alike."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from recbole_store.data.item_texts import join_fields
from recbole_store.llm.backbone import Backbone
from recbole_store.llm.layer_means import LayerMeans, layers_read
from recbole_store.llm.text_encoder import TextEncoder, text_width
from recbole_store.tokenizer.dense_tokens import DenseTokenizer
from recbole_store.tokenizer.quantizers.base import (
    DENSE_TOKENS,
    NOTHING,
    TEXT_EMBEDDING,
    TOWER_VECTOR,
)
from recbole_store.tokenizer.quantizers.registry import QUANTIZERS, make_quantizer
from recbole_store.tokenizer.semantic_ids import statistics
from recbole_store.tokenizer.text_tower import TextTower
from recbole_store.tokenizer.token_texts import TokenTexts
from recbole_store.tokenizer.whitening import Whitening

TEXTS_PER_BATCH = 64  # whose dense tokens are read at a time
TOWER_DROPOUT = 0.2  # of a text's features, in both stages


class ItemTokenizer(nn.Module):
    """Texts, slots, quantizer, points and the table of semantic IDs of one catalogue.

    Shapes: N items without padding, L levels of a semantic ID with the disambiguation level, P
    coordinates of a point.

    Attributes:
        fields: per item_id the fields of its text; none for padding (0).
        texts: the same as one text each.
        cold_items: item_ids of items that are read, but that nothing is fitted to.
        to_learn: item_ids of known items with a text, which stage 1 and the text tasks learn from.
        sizes: codes of each level.
        semantic_ids: int64 [N + 1, L], all zero until :meth:`set_semantic_ids`.
        points: where items are in what the quantizer clusters, fp32 [N + 1, P].
        point_scale: what points are divided by, so that known items' are 1 on average.

    Args:
        settings: ``tokenizer``, ``n_slots``, ``codebook_size``, ``disambiguation_size``,
            ``max_text_tokens``, ``text_encoder``, the quantizer's own, and with a tower
            ``item_vector_size``, its width.
        fields: see above.
        cold_items: int64.
        backbone: the LLM that reads texts into slots; None for a model without one.
        slots: behind a text; theirs are the dense tokens.

    Raises:
        BackboneError: there is no such text encoder.
    """

    def __init__(
        self,
        settings: Mapping,
        fields: list[list[str]],
        cold_items: Tensor,
        backbone: Backbone | None = None,
        slots: DenseTokenizer | None = None,
    ):
        super().__init__()
        self.fields, self.texts = fields, [join_fields(parts) for parts in fields]
        self.cold_items = cold_items
        cold = set(cold_items.tolist())
        self.to_learn = [i for i, text in enumerate(self.texts) if text and i not in cold]
        self.name, self.encoder_name = settings["tokenizer"], settings["text_encoder"]
        self.max_text_tokens = settings["max_text_tokens"]
        self._backbone = (backbone,)  # the model's part, not one of this
        self.slots = slots
        if slots is not None:
            slots.requires_grad_(False)  # but while stage 1 trains them
        self._token_texts: TokenTexts | None = None
        width = 0
        if QUANTIZERS[self.name].reads == DENSE_TOKENS:
            width = backbone.hidden_size
        elif QUANTIZERS[self.name].reads == TEXT_EMBEDDING:
            width = text_width(self.encoder_name)
        n_known = len(fields) - 1 - len(cold_items)
        self.whitening: Whitening | None = None
        self.tower: TextTower | None = None
        if QUANTIZERS[self.name].reads == TOWER_VECTOR:
            width = settings["item_vector_size"]
            self.llm_name = settings["backbone"]
            n_blocks = len(layers_read(1))
            width_read = n_blocks * backbone.hidden_size
            self.whitening = Whitening(width_read, n_blocks, len(fields) - 1)
            self.tower = TextTower(self.whitening.n_features, width, TOWER_DROPOUT)
            self.tower.requires_grad_(False)  # but while stage 1 trains it
        self.quantizer = make_quantizer(settings, width, n_known)
        n_codes = settings["codebook_size"]
        self.sizes = [n_codes] * settings["n_slots"] + [settings["disambiguation_size"]]
        ids = torch.zeros(len(fields), len(self.sizes), dtype=torch.long)
        self.register_buffer("semantic_ids", ids)
        point_size = self.quantizer.point_size
        if self.whitening is not None:  # what is known of a text before any history was seen
            point_size = self.whitening.n_features
        self.register_buffer("points", torch.zeros(len(fields), point_size))
        self.register_buffer("point_scale", torch.ones(()))

    @property
    def token_texts(self) -> TokenTexts:
        """Texts as the backbone's tokens: for training, and read when first asked for."""
        if self._token_texts is None:
            words = self.backbone.tokenize(self.texts, self.max_text_tokens)
            self._token_texts = TokenTexts(words, self.to_learn)
        return self._token_texts

    @property
    def backbone(self) -> Backbone | None:
        return self._backbone[0]

    @property
    def reads(self) -> str:
        """What the quantizer reads: DENSE_TOKENS, TEXT_EMBEDDING, TOWER_VECTOR or NOTHING."""
        return self.quantizer.reads

    @property
    def device(self) -> torch.device:
        return self.semantic_ids.device

    def is_known(self) -> Tensor:
        """bool [N + 1]: False for padding and cold items."""
        known = torch.ones(len(self.fields), dtype=torch.bool, device=self.device)
        known[0] = False
        known[self.cold_items.to(self.device)] = False
        return known

    def trainable(self) -> Iterator[tuple[str, nn.Parameter]]:
        """What stage 1 trains, by name: the tower, or the slots and the LLM's weights."""
        if self.tower is not None:
            yield from self.tower.named_parameters("tower")
            return
        if self.slots is not None:
            yield from self.slots.named_parameters("slots")
        if self.backbone is not None:
            for name, weight in self.backbone.named_parameters("backbone"):
                if weight.requires_grad:
                    yield name, weight

    @torch.no_grad()
    def quantizer_inputs(self, texts: list[str]) -> Tensor:
        """Texts -> what the quantizer reads, [N, ...]: dense tokens, vectors, or nothing."""
        if self.reads == NOTHING:
            return torch.empty(len(texts), 0)
        if self.reads == TEXT_EMBEDDING:
            encoder = TextEncoder(self.encoder_name, self.device)
            return encoder(texts, self.max_text_tokens).to(self.device)
        if self.reads == TOWER_VECTOR:
            return self.tower.eval().items(self.features(texts))
        with self._reading() as backbone:
            return self.slots.read_all(backbone, texts, TEXTS_PER_BATCH).to(self.device)

    @contextmanager
    def _reading(self) -> Iterator[Backbone]:
        """The backbone as stage 1 has it, without dropout; as it was, afterwards."""
        backbone, stage, was_training = self.backbone, self.backbone.stage, self.backbone.training
        backbone.eval()
        backbone.use_stage("tokenizer")
        try:
            yield backbone
        finally:
            backbone.use_stage(stage)
            backbone.train(was_training)

    def mean_states(self, texts: list[str]) -> Tensor:
        """Texts -> mean states of layers of the LLM as it came, fp32 [N, 3 * H]."""
        reader = LayerMeans(self.llm_name, self.device)
        return reader(texts, self.max_text_tokens).to(self.device)

    def features(self, texts: list[str]) -> Tensor:
        """Texts -> what the tower reads of them, [N, F]."""
        return self.whitening(self.mean_states(texts))

    def tokenize(self, texts: list[str]) -> Tensor:
        """Text-to-token: texts of any items, new ones too -> codes, int64 [N, L - 1].

        Raises:
            NoCodesError: with ``tokenizer: random`` a text leads to no codes.
        """
        return self.quantizer.assign(self.quantizer_inputs(texts))

    @torch.no_grad()
    def read(self, texts: list[str]) -> tuple[Tensor, Tensor]:
        """Texts of new items -> their codes, int64 [N, L - 1], and points, fp32 [N, P].

        Raises:
            NoCodesError: as :meth:`tokenize`.
        """
        if self.reads == TOWER_VECTOR:  # whose points are what the tower reads
            points = self.features(texts)
            inputs = self.tower.eval().items(points)
        else:
            inputs = self.quantizer_inputs(texts)
            points = self.quantizer.points(inputs)
        return self.quantizer.assign(inputs), points / self.point_scale

    def grow(self, fields: list[list[str]], semantic_ids: Tensor, points: Tensor) -> None:
        """Take new items behind all others; nothing of theirs changes.

        Args:
            fields: of their texts.
            semantic_ids: int64 [n, L], all different and nobody else's.
            points: fp32 [n, P].
        """
        self.fields = [*self.fields, *fields]
        self.texts = [*self.texts, *(join_fields(parts) for parts in fields)]
        self.semantic_ids = torch.cat([self.semantic_ids, semantic_ids.to(self.semantic_ids)])
        self.points = torch.cat([self.points, points.to(self.points)])
        self._token_texts = None

    @torch.no_grad()
    def rebuild(self, codes: Tensor, n_tokens: int) -> str | None:
        """What the LLM makes of the centroids of an item's first codes, int64 [l].

        None for a tokenizer whose codes are no dense tokens'.
        """
        if self.reads != DENSE_TOKENS:
            return None
        dense = self.quantizer.dense_tokens(codes[None])[0]
        with self._reading() as backbone:
            return self.slots.rebuild(backbone, dense, self.token_texts.vocabulary, n_tokens)

    def set_semantic_ids(self, semantic_ids: Tensor) -> None:
        """Take the IDs of items 1 to N, int64 [N, L]."""
        self.semantic_ids[1:] = semantic_ids.to(self.semantic_ids)

    def set_points(self, points: Tensor) -> None:
        """Take the points of items 1 to N, fp32 [N, P], scaled to 1 on average of known items.

        A tower's features stay as they are: it has learnt on them.
        """
        if self.whitening is not None:
            self.points[1:] = points.to(self.points)
            return
        known = points[self.is_known()[1:].to(points.device)]
        scale = float(known.square().mean().sqrt()) if known.numel() else 1.0
        self.point_scale.fill_(scale or 1.0)  # 0: all items are one point
        self.points[1:] = (points / self.point_scale.to(points)).to(self.points)

    @torch.no_grad()
    def representations(self) -> dict[str, Tensor]:
        """What is known of each item, by name, [N + 1, ...]: for the probe.

        ``tower`` (a text tower's vectors), ``points`` (what is clustered, or the tower's input)
        and ``codes`` (what codes alone say); nothing for codes that come from nothing.
        """
        if self.reads == NOTHING:
            return {}
        found = {"points": self.points}
        if self.tower is not None:
            found = {"tower": self.tower.eval().items(self.points), **found}
        return {**found, "codes": self.quantizer.code_vectors(self.semantic_ids[:, :-1])}

    def statistics(self) -> dict:
        """Collisions, utilisation and entropy of the semantic IDs."""
        return statistics(self.semantic_ids[1:], self.sizes[0])
