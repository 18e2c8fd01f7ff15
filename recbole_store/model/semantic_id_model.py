"""What models of semantic IDs share: the items' table, the trie, decoding, the scores."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from recbole.model.abstract_recommender import SequentialRecommender
from recbole.utils import InputType
from torch import Tensor

import recbole_store.processes.ranks as ranks
from recbole_store.generator.beam_search import Beams, beam_search, path_log_probs
from recbole_store.generator.candidates import group_candidates
from recbole_store.generator.code_trie import CodeTrie
from recbole_store.generator.exact_search import exact_search
from recbole_store.generator.excluded_items import ExcludedItems, pairs_of_rows
from recbole_store.generator.reserved_places import with_reserved_places
from recbole_store.generator.scores import dense_scores
from recbole_store.generator.unconstrained_search import FreeCodes, free_beam_search
from recbole_store.tokenizer.item_tokenizer import ItemTokenizer

USERS_PER_PREFILL = 64  # bounds the key-value cache, whatever eval_batch_size is


class SemanticIdModel(SequentialRecommender):
    """A model that generates the next item's semantic ID, code by code.

    A subclass makes its ``item_tokenizer`` in its constructor, sets ``bf16`` and ``eval_bf16``
    (whether training and decoding run in bfloat16), and gives ``decoder(interaction)``, a
    :class:`recbole_store.generator.step.Decoder` behind the rows' histories, and
    ``parameter_groups()``.

    Shapes: L counts all levels of a semantic ID, the disambiguation level included.
    """

    input_type = InputType.POINTWISE
    item_tokenizer: ItemTokenizer

    def __init__(self, config, dataset):
        super().__init__(config, dataset)
        self.num_beams = config["num_beams"]
        self.decoding = config["decoding"]
        self.max_topk = max(config["topk"])
        self.cold_items = dataset.cold_items
        self.n_fitted = self.n_items  # those behind them came after training
        self._dataset_table = dataset.semantic_ids
        self.has_joined = False  # whether cold items are in the tree of items
        self.reserved = 0.0  # share of places for cold items, once they have
        self.trie: CodeTrie | None = None
        self.free_codes: FreeCodes | None = None
        self.tokenizer_report: dict = {}
        self.certain: dict[int, float] = {}  # k: share of users with a certain top-k, last time

    @property
    def semantic_ids(self) -> Tensor:
        """int64 [n_items, L]."""
        return self.item_tokenizer.semantic_ids

    @property
    def points(self) -> Tensor:
        """Where all items are, cold ones too, in what the quantizer clusters; [n_items, P]."""
        return self.item_tokenizer.points

    def set_semantic_ids(self, semantic_ids: Tensor) -> None:
        """Take the IDs of items 1 to N, int64 [N, L]."""
        self.item_tokenizer.set_semantic_ids(semantic_ids)
        self._index_items()

    def _index_items(self):
        """Build the trie, and let the data set attach these semantic IDs to its batches."""
        item_ids = self._is_known().nonzero().squeeze(1)
        codes = self.semantic_ids[item_ids]
        self.trie = CodeTrie(codes, item_ids)
        if self.decoding == "free":
            self.free_codes = FreeCodes(codes, item_ids, self.item_tokenizer.sizes)
        self._dataset_table.copy_(self.semantic_ids)

    def _is_known(self) -> Tensor:
        """bool [n_items]: which items are in the catalogue."""
        known = self.item_tokenizer.is_known()
        known[self.cold_items] = self.has_joined
        return known

    def admit_new_items(self) -> None:
        """Let cold items into the catalogue, by the codes that stage 1 reads from their texts."""
        self.has_joined = True
        self._index_items()

    def add_items(self, fields: list[list[str]], semantic_ids: Tensor, points: Tensor) -> None:
        """Take new items into the catalogue, behind all others; nothing is trained.

        Args:
            fields: of their texts.
            semantic_ids: int64 [n, L], all different and nobody else's.
            points: fp32 [n, P].
        """
        self.item_tokenizer.grow(fields, semantic_ids, points)
        self.n_items += len(fields)
        self._dataset_table = torch.zeros_like(self.semantic_ids)  # a data set without them
        self._index_items()

    def likeness(self, item_ids: Tensor) -> Tensor | None:
        """Cosine of items [n] to all, [n, n_items]; None where codes say nothing of what they are.

        By what the quantizer clusters.
        """
        if self.points.size(1) == 0:
            return None
        unit = F.normalize(self.points, dim=-1)
        return unit[item_ids] @ unit.T

    def start_recommender(self, stage: dict) -> None:
        """Start from what the tokenizer stage found: the items' tree, at the least.

        Args:
            stage: of :meth:`recbole_store.tokenizer.stage.TokenizerStage.run`.
        """
        self._index_items()

    @property
    def trained_parameters(self) -> int:
        return sum(w.numel() for group in self.parameter_groups() for w in group["params"])

    def _history_codes(self, interaction) -> Tensor:
        """Semantic IDs of the histories [B, T, L], as the transform attached them.

        RecBole's case studies skip the transform; then they come from the model's own table.

        Raises:
            RuntimeError: the data carries other semantic IDs than this model's.
        """
        own = self.semantic_ids[interaction[self.ITEM_SEQ]]
        attached = f"semantic_id_{self.ITEM_SEQ}"
        if attached in interaction and not torch.equal(interaction[attached], own):
            raise RuntimeError(
                "The data set carries other semantic IDs than this model: prepare the data with "
                "the config of the model's own checkpoint."
            )
        return own

    def _item_codes(self, interaction) -> Tensor:
        """Semantic IDs of the targets or candidates [B, L].

        From the model's own table: sampled candidates replace the item after the transform.
        """
        return self.semantic_ids[interaction[self.ITEM_ID]]

    def context(self, interaction) -> Tensor:
        """Numbers [B, ...] in which rows differ that are decoded differently."""
        return torch.cat([interaction[self.ITEM_SEQ_LEN][:, None], interaction[self.ITEM_SEQ]], 1)

    @torch.no_grad()
    def predict(self, interaction):
        """Exact log-likelihood of each row's item, [B].

        RecBole repeats a user's history for each candidate; rows with the same history share one
        prefill. Of several processes, all of which must ask, each goes through a share of them.
        """
        candidates = self._item_codes(interaction)
        scores = torch.zeros(len(candidates), device=candidates.device)
        groups = list(group_candidates(self.context(interaction), USERS_PER_PREFILL))
        for group in ranks.mine(groups):
            decoder = self.decoder(interaction[group.firsts])
            found = path_log_probs(decoder, group.fold(candidates))
            items = group.fold(interaction[self.ITEM_ID][:, None]).squeeze(-1)
            found = self.fused_scores(decoder, found, items)
            scores[group.rows] = group.unfold(found)
        return ranks.sum_over_ranks(scores)

    def fused_scores(self, decoder, log_probs: Tensor, item_ids: Tensor) -> Tensor:
        """Final scores [B, M] of items whose codes have these log-probabilities."""
        return log_probs

    @torch.no_grad()
    def contributions(self, interaction) -> dict[str, Tensor]:
        """What each row's item gains over one drawn at random, in log-probability, part by part.

        Returns:
            "codes", "text", "id", ... -> fp32 [B]; the parts of the model's score.
        """
        decoder = self.decoder(interaction)
        return {"codes": self._gain_by_codes(decoder, interaction)}

    def rebuild(self, codes: Tensor, n_tokens: int) -> str | None:
        """What the model takes an item to be by its first codes, int64 [l]; None if it writes none.

        Args:
            n_tokens: tokens to be written.
        """
        return None

    def _gain_by_codes(self, decoder, interaction) -> Tensor:
        codes = self._item_codes(interaction)[:, None]
        found = path_log_probs(decoder, codes).squeeze(1)
        return found + math.log(len(self.trie))

    @torch.no_grad()
    def recommend(self, interaction, excluded: tuple[Tensor, Tensor] | None = None) -> Beams:
        """The likeliest items of each user, best first, found as ``decoding`` says.

        Of several processes, all of which must ask, each searches for a share of the users, in the
        very groups that one process would make: so all get what one would find, to the digit.

        Args:
            excluded: rows of the batch, ascending, and item_ids that they must not get; others take
                their places.
        """
        if self.trie is None:
            name = type(self).__name__
            raise RuntimeError(f"{name} has no semantic IDs yet: train it or load a checkpoint.")
        # Histories of similar length need little padding.
        order = torch.argsort(interaction[self.ITEM_SEQ_LEN])
        own = [
            self._search_batch(interaction[rows], pairs_of_rows(excluded, rows))
            for rows in ranks.mine(order.split(USERS_PER_PREFILL))
        ]
        if ranks.world_size() > 1:  # whoever gets them may have no such GPU
            own = [Beams(*(part.cpu() for part in beams)) for beams in own]
        found = zip(*ranks.all_in_turn(own), strict=True)
        in_order = torch.argsort(order)
        return Beams(*(torch.cat(parts).to(order.device)[in_order] for parts in found))

    def _search_batch(self, interaction, excluded: tuple[Tensor, Tensor] | None) -> Beams:
        def search(excluded: tuple[Tensor, Tensor] | None) -> Beams:
            # A new decoder: an exact search leaves only the users who took longest in an old one.
            return self.search(self.decoder(interaction), excluded)

        if not (self.reserved and self.has_joined):
            return search(excluded)
        warm = torch.ones(self.n_items, dtype=torch.bool, device=self.device)
        warm[0] = warm[self.cold_items] = False
        warm = warm.nonzero().squeeze(1)
        return with_reserved_places(search, len(interaction), warm, excluded, self.reserved)

    def search(self, decoder, excluded: tuple[Tensor, Tensor] | None) -> Beams:
        """The likeliest items of each of a decoder's users; ``excluded`` are pairs of such."""
        if self.decoding == "free":
            return free_beam_search(decoder, self.free_codes, self.num_beams, excluded)
        of_trie = None
        if excluded is not None:
            of_trie = ExcludedItems.of(self.trie, *excluded, decoder.n_users)
        arguments = (decoder, self.trie, self.num_beams)
        if self.decoding == "exact":
            return exact_search(*arguments, self.max_topk, of_trie)
        return beam_search(*arguments, of_trie)

    @torch.no_grad()
    def full_sort_predict(self, interaction):
        """Scores of all items by constrained beam search, [B, n_items]."""
        return dense_scores(self.recommend(interaction), self.n_items)

    def other_parameter(self):
        return {"tokenizer_report": self.tokenizer_report}

    def load_other_parameter(self, para):
        super().load_other_parameter(para)
        self._index_items()

    def report(self) -> dict:
        """What result.json says of the tokenizer and the precision."""
        return {
            **self.tokenizer_report,
            "precision": "bf16" if self.bf16 else "fp32",
            "eval_precision": "bf16" if self.eval_bf16 else "fp32",
        }
