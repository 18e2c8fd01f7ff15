"""STORE: one LLM tokenizes items and generates the next item's tokens.

Reference:
    Qijiong Liu et al. "STORE: Streamlining Semantic Tokenization and Generative Recommendation
    with A Single LLM." arXiv 2409.07276, 2024; version 3, "Learning Multi-Aspect Item Palette",
    2025.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import recbole_store.processes.ranks as ranks
from recbole_store.generator.beam_search import Beams, WithPaths, path_log_probs
from recbole_store.generator.code_tokens import CodeTokens
from recbole_store.generator.company import Company
from recbole_store.generator.item_head import DenseScores, ItemHead, fuse
from recbole_store.generator.item_vectors import ItemVectors
from recbole_store.generator.like_items import like_by_vectors
from recbole_store.generator.short_list import ListedScores
from recbole_store.generator.tree_decoder import TreeDecoder
from recbole_store.generator.windows import Window, make_window, with_targets
from recbole_store.llm.backbone import Backbone
from recbole_store.model.alignment import Alignment, Parts
from recbole_store.model.heads import STATES, TOWER, Heads, HistoryEnds, Targets
from recbole_store.model.large_catalogue import LargeCatalogue, shared_rows
from recbole_store.model.semantic_id_model import SemanticIdModel
from recbole_store.model.small_catalogue import SmallCatalogue
from recbole_store.model.window_targets import WindowTargets
from recbole_store.tokenizer.co_occurrence import training_co_occurrence
from recbole_store.tokenizer.dense_tokens import DenseTokenizer
from recbole_store.tokenizer.item_tokenizer import TOWER_DROPOUT, ItemTokenizer
from recbole_store.tokenizer.quantizers.base import DENSE_TOKENS, TOWER_VECTOR
from recbole_store.tokenizer.quantizers.registry import QUANTIZERS
from recbole_store.tokenizer.sampled_softmax import Lot, lot_of_all
from recbole_store.tokenizer.text_tower import TextTower
from recbole_store.tokenizer.whitening import FEW_ITEMS

# Words before the codes of a history; no others were tried.
HISTORY_PROMPT = "User behavior sequence:"
# Share of the text head's log-probability in that of both heads. On Beauty's validation with a gap
# .8 beat .5 by .0017 of NDCG@10, the other gains chosen anew, on users they were not chosen on.
TEXT_SHARE = 0.8


class STORE(WindowTargets, SemanticIdModel):
    """A causal LM over words and code tokens, with a head per level (STORE, section 3)."""

    loss_names = ("next item", "alignment")  # of what calculate_loss returns, where it is several

    def __init__(self, config, dataset):
        super().__init__(config, dataset)

        # load parameters info
        self.item_head_weight = config["item_head_weight"]
        self.item_head_share = config["item_head_share"]
        self.last_item_weight = config["last_item_weight"]
        self.text_head_weight = config["text_head_weight"]
        self.text_share = TEXT_SHARE
        self.together_weight = config["together_weight"]
        self.likeness_weight = config["likeness_weight"]
        # The softmax over items is of the items that are ranked. Without the history's left out
        # of it, STORE was no other on Beauty (.0695 for .0698 of NDCG@10 on validation).
        self.filters_training = config["filter_history"]
        self.learning_rates = (config["learning_rate"], config["code_learning_rate"])
        self.learn_windows(config, dataset)
        self.n_windows = len(dataset)

        # define layers
        self.backbone = Backbone(
            config["backbone"],
            config["backbone_layers"],
            config["tuning"],
            config["precision"],
            {"rank": config["lora_rank"], "target_modules": config["lora_target_modules"]},
            config["device"],
            checkpointing=config["gradient_checkpointing"],
            eval_precision=config["eval_precision"],
            # .2 beside .3 of the inputs was no better on Beauty (.0733 for .0749 on validation).
            hidden_dropout=config["dropout"] / 2,
        )
        hidden_size, word_norm = self.backbone.hidden_size, self.backbone.word_norm
        reads, slots = QUANTIZERS[config["tokenizer"]].reads, None
        if reads != TOWER_VECTOR:  # drawn even where they are not read: results of a seed stay
            n_slots, max_tokens = config["n_slots"], config["max_text_tokens"]
            slots = DenseTokenizer(n_slots, hidden_size, word_norm, max_tokens)
        self.item_tokenizer = ItemTokenizer(
            config,
            dataset.item_texts,
            self.cold_items,
            self.backbone,
            slots if reads == DENSE_TOKENS else None,
        )
        self.code_tokens = CodeTokens(self.item_tokenizer.sizes, hidden_size, word_norm)
        self.code_dropout = nn.Dropout(config["dropout"])
        prompt = self.backbone.tokenize([HISTORY_PROMPT]).ids[0]
        self.register_buffer("history_prompt", prompt, persistent=False)

        self.item_vectors: ItemVectors | None = None
        self.item_input: nn.Linear | None = None
        self.item_head: ItemHead | None = None
        width, point_size = config["item_vector_size"], self.points.size(1)
        if width is not None:
            own_dropout, limit = config["dropout"] / 2, config["full_softmax_limit"]
            n_shared = shared_rows(self.n_items - 1, limit, config["collaborative_start"])
            self.item_vectors = ItemVectors(self.n_items, point_size, width, own_dropout, n_shared)
            self.item_input = nn.Linear(width, hidden_size, bias=False)
        if self.item_head_weight > 0:
            self.item_head = ItemHead(hidden_size, width)
            if self.item_head_share > 0:
                self.new_item_bias = 0.0  # of log-probabilities, once new items have joined
        self.text_head: TextTower | None = None
        if self.text_head_weight > 0:
            self.text_head = TextTower(point_size, width, TOWER_DROPOUT, hidden_size)
        self.company: Company | None = None
        if self.together_weight:
            self.company = Company(training_co_occurrence(dataset, self.n_items))
        self.all_items: SmallCatalogue | LargeCatalogue | None = None  # which the heads score
        if self.item_head is not None:
            if self.n_items - 1 > config["full_softmax_limit"]:
                targets = dataset.inter_feat[dataset.iid_field]
                self.all_items = LargeCatalogue(torch.bincount(targets, minlength=self.n_items))
            else:
                self.all_items = SmallCatalogue()
        self.alignment: Alignment | None = None
        if config["align_weight"] > 0:
            share = config["text_task_share"] or 1.0
            self.alignment = Alignment(self.backbone, config["align_weight"], share)

    @property
    def bf16(self) -> bool:
        return self.backbone.bf16

    @property
    def eval_bf16(self) -> bool:
        return self.backbone.eval_bf16

    def start_recommender(self, stage: dict) -> None:
        """Start the recommender's weights from the tokenizer's, and codes from their items.

        Other tokenizers than palette and tower have no weights here, and their codes start at
        random.
        """
        super().start_recommender(stage)
        if "code_means" in stage:
            self.backbone.copy_stage("tokenizer", "recommender")
            self.code_tokens.start_from(stage["code_means"], stage["code_counts"])
        if self.text_head is not None:
            self.text_head.load_state_dict(self.item_tokenizer.tower.state_dict(), strict=False)

    def parameter_groups(self) -> list[dict]:
        """What trains at present, with a learning rate each for the LLM and for the new parts."""
        groups = []
        for is_llm, rate in zip((True, False), self.learning_rates, strict=True):
            weights = [
                weight
                for name, weight in self.named_parameters()
                if weight.requires_grad and name.startswith("backbone.") == is_llm
            ]
            if weights:
                groups.append({"params": weights, "lr": rate})
        return groups

    def read_items(self, codes: Tensor, item_ids: Tensor) -> Tensor:
        """Codes [B, T, L] of items [B, T] -> what the LLM reads of them, [B, T, L, H].

        Behind an item's last code stands the item's vector as well, where there is one.
        """
        inputs = self.code_tokens(codes)
        if self.item_input is None:
            return inputs
        vectors = self.item_input(self.item_vectors(self.points, item_ids))
        return torch.cat([inputs[:, :, :-1], inputs[:, :, -1:] + vectors[:, :, None]], dim=2)

    def forward(self, window: Window, item_ids: Tensor) -> Tensor:
        """Hidden states from which each code of each target is predicted, [B, T, L, H].

        Args:
            item_ids: of the window's items, [B, T + 1].
        """
        n_rows, n_items, n_levels = window.codes.shape
        tokens = self.code_dropout(self.read_items(window.codes, item_ids))
        prompt = self.backbone.embed(self.history_prompt).expand(n_rows, -1, -1)
        inputs = torch.cat([prompt, tokens.flatten(1, 2)[:, :-1]], dim=1)
        # The state behind one code predicts the next, from the first item's last code on.
        first = prompt.size(1) + n_levels - 1
        return self.backbone(inputs)[:, first:].unflatten(1, (n_items - 1, n_levels))

    @property
    def chance_loss(self) -> float | None:
        """The next item's loss of who guesses each code, and each head's item, among all.

        None where the heads' losses are of items drawn.
        """
        if self.draws_items:
            return None
        sizes = self.item_tokenizer.sizes
        codes = sum(map(math.log, sizes)) / len(sizes)
        n_known = max(int(self._is_known().sum()), 1)
        return codes + (self.item_head_weight + self.text_head_weight) * math.log(n_known)

    def calculate_loss(self, interaction):
        """Token-to-token on windows, plus the weighted text-to-token on the next items in turn.

        Returns:
            A tuple of losses, which RecBole sums and logs one by one.
        """
        losses: dict[str, Tensor] = {}
        for task, loss in self.loss_pieces(interaction):
            losses[task] = losses[task] + loss if task in losses else loss
        return tuple(losses.values()) if len(losses) > 1 else losses["next_item"]

    def loss_pieces(self, interaction, rows: int | None = None) -> Iterator[tuple[str, Tensor]]:
        """The same loss, task by task and at most ``rows`` windows or items at a time.

        Whoever calls backward on each piece before asking for the next one holds the activations
        of one piece only. Of several processes each gets its share of the rows.
        """
        lengths = interaction[self.ITEM_SEQ_LEN]
        learnt = self.wanted_targets(interaction).any(1)
        order = torch.argsort(lengths)
        lot = None
        if self.draws_items:
            lot = lot_of_all(lambda: self._lot(interaction[order]), order.device)
        own = ranks.mine(torch.arange(len(order), device=order.device))
        for places in own.split(rows or len(order)):
            if len(places) == 0:  # there are fewer rows than processes
                continue
            part = order[places]
            share = learnt[part].sum() / learnt.sum().clamp(min=1)
            of_part = lot and lot.of_windows(places)
            yield "next_item", self.next_item_loss(interaction[part], of_part) * share
        if self.alignment is not None:
            tokenizer = self.item_tokenizer
            parts = Parts(
                self.backbone, self.code_tokens, tokenizer.token_texts, tokenizer.semantic_ids
            )
            share = len(lengths) / self.n_windows
            yield from (("align", loss) for loss in self.alignment.pieces(parts, share, rows))

    def _targets(self, interaction) -> tuple[Tensor, Tensor]:
        """Windows of item_ids, [B, T + 1], and which of them are to be learnt, bool [B, T]."""
        lengths = interaction[self.ITEM_SEQ_LEN]
        items = with_targets(interaction[self.ITEM_SEQ], lengths, interaction[self.ITEM_ID])
        return items, self.wanted_targets(interaction)[:, : items.size(1) - 1]

    def _lot(self, interaction) -> Lot:
        """What is drawn for a batch of a large catalogue's."""
        return self.all_items.sampler.lot(*self._targets(interaction))

    def next_item_loss(self, interaction, lot: Lot | None = None) -> Tensor:
        """Token-to-token: cross-entropy of the codes of every target of the windows.

        It is the mean over the codes of as many targets as these rows have on average, so that it
        is the mean over all targets once an epoch's batches are averaged. Each head over whole
        items adds its weighted cross-entropy of the same targets.

        A loss on codes that the beams would drop was tried as well (APAO, arXiv 2603.02730): it
        left the codes where they were on ml-100k (.0477 for .0468) and on Beauty.

        Args:
            lot: of a large catalogue, what was drawn for the batch that these rows are a part of;
                None: these rows are drawn for alone.
        """
        lengths = interaction[self.ITEM_SEQ_LEN]
        history, target = self._history_codes(interaction), self._item_codes(interaction)
        window = make_window(history, lengths, target)
        items, is_target = self._targets(interaction)
        hidden = self(window, items)
        total = 0.0
        for level, head in enumerate(self.code_tokens.heads):
            logits = head(hidden[:, :, level][is_target])
            labels = window.codes[:, 1:, level][is_target]
            total = total + F.cross_entropy(logits, labels, reduction="sum")
        n_targets = self.mean_targets(is_target)
        loss = total / (n_targets * window.codes.size(-1))
        if self.all_items is not None:
            states, known = hidden[:, :, 0][is_target], self._is_known()
            targets = Targets(states, items, is_target, known, self.filters_training)
            by_id, by_text = self.all_items.losses(self.heads(), targets, lot)
            loss = loss + self.item_head_weight * by_id / n_targets
            if by_text is not None:
                loss = loss + self.text_head_weight * by_text / n_targets
        return loss

    @property
    def likeness_by(self) -> str:
        """What texts are alike by, TOWER or STATES.

        Few items teach the text head less than the LLM knows: on three shops of 337 to 932 items
        its states gave .004, .012 and .005 more of NDCG@10 than the tower, on Beauty nothing.
        """
        return STATES if self.n_fitted <= FEW_ITEMS else TOWER

    @property
    def draws_items(self) -> bool:
        """Whether the heads learn by items drawn, as the catalogue is large."""
        return self.all_items is not None and self.all_items.draws_items

    @property
    def heads_rank(self) -> bool:
        """Whether the heads take part in the ranking, and not in the training alone."""
        return self.all_items is not None and self.item_head_share > 0

    def heads(self) -> Heads:
        """What scores whole items, as it is now."""
        raised = self._raised_items()
        is_raised = None
        if len(raised):
            is_raised = torch.zeros(self.n_items, dtype=torch.bool, device=self.device)
            is_raised[raised] = True
        return Heads(
            self.points,
            self.item_vectors,
            self.item_head,
            self.text_head,
            self.company,
            self.text_share if self.text_head is not None else 0.0,
            self.last_item_weight or 0.0,
            self.likeness_weight or 0.0,
            self.likeness_by,
            self.together_weight or 0.0,
            is_raised,
            self.new_item_bias if self.heads_rank else 0.0,
        )

    def _raised_items(self) -> Tensor:
        """item_ids that no training has seen, int64: cold ones that have joined, and later ones."""
        later = torch.arange(self.n_fitted, self.n_items, device=self.device)
        return torch.cat([self.cold_items.to(later), later]) if self.has_joined else later

    def _forget_items(self) -> None:
        if self.all_items is not None:
            self.all_items.forget()

    def train(self, mode: bool = True):
        self._forget_items()
        return super().train(mode)

    def _index_items(self):
        super()._index_items()
        self._forget_items()

    def admit_new_items(self) -> None:
        """Let cold items into the catalogue; what they lack they take from like texts' items."""
        self._take_from_like(self.cold_items, self._is_known().nonzero().squeeze(1))
        super().admit_new_items()

    def add_items(self, fields: list[list[str]], semantic_ids: Tensor, points: Tensor) -> None:
        """Take new items in; their own vectors and their company are those of like texts' items."""
        known = self._is_known()[: self.n_fitted]
        super().add_items(fields, semantic_ids, points)
        new = torch.arange(self.n_items - len(fields), self.n_items, device=known.device)
        for part in self._of_histories():
            part.grow(len(new))
        self._take_from_like(new, known.nonzero().squeeze(1))
        self._forget_items()

    def _take_from_like(self, new: Tensor, known: Tensor) -> None:
        """Give items [N] what the known [M] with the nearest texts have of histories."""
        parts = self._of_histories()
        if parts and len(new) > 0:
            like = like_by_vectors(self.points, new, known)
            for part in parts:
                part.take_from(new, like)

    def _of_histories(self) -> list[ItemVectors | Company]:
        """The parts that know of an item what only histories say."""
        return [part for part in (self.item_vectors, self.company) if part is not None]

    def likeness(self, item_ids: Tensor) -> Tensor | None:
        if self.item_vectors is None:
            return super().likeness(item_ids)
        return self.item_vectors.likeness(self.points, item_ids)

    def decoder(self, interaction) -> TreeDecoder:
        lengths = interaction[self.ITEM_SEQ_LEN]
        n_items = max(int(lengths.max()), 1)
        codes = self._history_codes(interaction)[:, :n_items]
        return TreeDecoder(
            self.backbone,
            self.code_tokens,
            self.code_tokens.heads,
            self.backbone.embed(self.history_prompt),
            self.read_items(codes, interaction[self.ITEM_SEQ][:, :n_items]),
            lengths,
            interaction[self.ITEM_SEQ][:, :n_items],
        )

    def _score_items(self, decoder: TreeDecoder) -> DenseScores | ListedScores:
        """The heads' scores for a decoder's users.

        The ID head's and the text head's are weighed; items gain that were together with the last
        ones in training histories, or are like them by text. With ``last_item_weight`` items like
        the last one gain: that SASRec's residual connections learn; trained with it, pairs of items
        would be learnt by heart, so it is for ranking alone, as the other gains are.
        """
        return self.all_items.scores(self.heads(), _histories(decoder), self._is_known())

    def fused_scores(self, decoder: TreeDecoder, log_probs: Tensor, item_ids: Tensor) -> Tensor:
        if not self.heads_rank:
            return log_probs
        share, scores = self.item_head_share, self._score_items(decoder)
        return (1 - share) * log_probs + share * scores.of(item_ids)

    @torch.no_grad()
    def rebuild(self, codes: Tensor, n_tokens: int) -> str | None:
        """From the codes' centroids, which is what the dense tokens were near to."""
        if len(codes) == len(self.item_tokenizer.sizes):
            return None
        return self.item_tokenizer.rebuild(codes, n_tokens)

    @torch.no_grad()
    def contributions(self, interaction) -> dict[str, Tensor]:
        decoder, items = self.decoder(interaction), interaction[self.ITEM_ID]
        by_codes = self._gain_by_codes(decoder, interaction)
        if not self.heads_rank:
            return {"codes": by_codes}
        parts = self.all_items.gains(self.heads(), _histories(decoder), self._is_known(), items)
        weighed = {name: self.item_head_share * part for name, part in parts.items()}
        return {"codes": (1 - self.item_head_share) * by_codes, **weighed}

    def search(self, decoder: TreeDecoder, excluded: tuple[Tensor, Tensor] | None) -> Beams:
        if not self.heads_rank:
            return super().search(decoder, excluded)
        scores = self._score_items(decoder)
        best, others = scores.best(self.num_beams, excluded)
        others = others.masked_fill(best == -torch.inf, 0)  # there was no further item
        codes = self.semantic_ids[others]
        if self.decoding == "exact":  # which asks a level more than once
            beams = super().search(decoder, excluded)
            decoder.restart()
            found = path_log_probs(decoder, codes)
        else:
            step = WithPaths(decoder, codes)
            beams, found = super().search(step, excluded), step.log_probs
        return fuse(beams, Beams(others, found, beams.pruned), scores, self.item_head_share)


def _histories(decoder: TreeDecoder) -> HistoryEnds:
    return HistoryEnds(decoder.history_end[:, 0], decoder.item_seq, decoder.lengths)
