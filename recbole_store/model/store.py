"""STORE: one LLM tokenizes items and generates the next item's tokens.

Reference:
    Qijiong Liu et al. "STORE: Streamlining Semantic Tokenization and Generative Recommendation
    with A Single LLM." arXiv 2409.07276, 2024; version 3, "Learning Multi-Aspect Item Palette",
    2025.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from recbole.model.abstract_recommender import SequentialRecommender
from recbole.utils import InputType
from torch import Tensor, nn

from recbole_store.batches import similar_lengths
from recbole_store.generator.beam_search import Beams, beam_search, path_log_probs
from recbole_store.generator.candidates import group_candidates
from recbole_store.generator.code_decoder import CodeDecoder
from recbole_store.generator.code_sequence import Window, make_window, wanted_targets
from recbole_store.generator.code_tokens import CodeTokens
from recbole_store.generator.code_trie import CodeTrie
from recbole_store.generator.exact_search import exact_search
from recbole_store.generator.excluded_items import ExcludedItems, pairs_of_rows
from recbole_store.generator.free_decoding import FreeCodes, free_beam_search
from recbole_store.generator.item_head import ItemHead, fuse
from recbole_store.generator.item_scores import dense_scores
from recbole_store.generator.reserved_places import reserve_places
from recbole_store.llm import Backbone, Words
from recbole_store.tokenizer.dense_tokens import TASK, DenseTokenizer
from recbole_store.tokenizer.item_text import join_pieces
from recbole_store.tokenizer.quantizers import Palette
from recbole_store.tokenizer.semantic_ids import statistics

USERS_PER_PREFILL = 64  # bounds the key-value cache, whatever eval_batch_size is


class STORE(SequentialRecommender):
    """A causal LM over words and code tokens, with a head per level (STORE, section 3).

    Shapes: L counts all levels of a semantic ID, the disambiguation level included.
    """

    input_type = InputType.POINTWISE

    def __init__(self, config, dataset):
        super().__init__(config, dataset)

        # load parameters info
        self.n_slots = config["n_levels"]
        self.codebook_size = config["codebook_size"]
        self.num_beams = config["num_beams"]
        self.normalize_over = config["normalize_over"]
        self.decoding = config["decoding"]
        self.max_topk = max(config["topk"])
        self.align_weight = config["align_weight"]
        self.item_weight = config["item_weight"]
        self.fusion = config["fusion"]
        self.reconstruct_weight = config["reconstruct_weight"]
        self.learning_rates = (config["learning_rate"], config["code_learning_rate"])
        self.label_field = config["LABEL_FIELD"]
        self.label_list = config["LABEL_FIELD"] + config["LIST_SUFFIX"]
        self.texts = [join_pieces(pieces) for pieces in dataset.item_texts]
        self.pieces = dataset.item_texts
        self.cold_items = dataset.cold_items
        cold = set(self.cold_items.tolist())
        # What the tokenizer and the text tasks learn from.
        self.items_with_text = [i for i, text in enumerate(self.texts) if text and i not in cold]
        # Rows of benchmark files overlap, so only their own target counts.
        self.only_last = dataset.window_rows is None
        self.n_windows = len(dataset)
        # What a batch's loss is divided by, so that each target weighs the same in an epoch,
        # whether it comes in a batch of long windows or of short ones.
        self.targets_per_row = dataset.n_targets / max(len(dataset), 1)
        self._dataset_table = dataset.semantic_ids

        # define layers
        self.backbone = Backbone(
            config["backbone"],
            config["backbone_layers"],
            config["tuning"],
            config["precision"],
            {
                "rank": config["lora_rank"],
                "alpha": config["lora_alpha"],
                "dropout": config["lora_dropout"],
                "target_modules": config["lora_target_modules"],
            },
            config["device"],
            checkpointing=config["gradient_checkpointing"],
            compiled=config["compile"],
            eval_precision=config["eval_precision"],
        )
        hidden_size, word_norm = self.backbone.hidden_size, self.backbone.word_norm
        self.dense_tokenizer = DenseTokenizer(
            self.n_slots, hidden_size, word_norm, config["max_text_words"]
        )
        sizes = [self.codebook_size] * self.n_slots + [config["disambiguation_size"]]
        self.code_tokens = CodeTokens(sizes, hidden_size, word_norm)
        self.code_dropout = nn.Dropout(config["code_dropout"])
        words = self.backbone.words(self.texts, config["max_text_words"])
        self.register_buffer("word_ids", words.ids.int(), persistent=False)
        self.register_buffer("word_counts", words.lengths, persistent=False)
        vocabulary = words.ids[self.items_with_text].unique()
        self.register_buffer("word_vocabulary", vocabulary, persistent=False)
        prompt = self.backbone.words([config["history_prompt"]]).ids[0]
        self.register_buffer("history_prompt", prompt, persistent=False)
        align = self.backbone.words([" " + config["align_prompt"]]).ids[0]
        self.register_buffer("align_prompt", align, persistent=False)
        task = self.backbone.words([TASK]).ids[0]
        self.register_buffer("task_prompt", task, persistent=False)

        # What the tokenizer finds; shapes are known now, contents come with training or loading.
        self.register_buffer("semantic_ids", torch.zeros(self.n_items, len(sizes)).long())
        n_components = min(config["pca_dim"], hidden_size, self.n_items - 1)
        shapes = Palette.shapes(self.n_slots, self.codebook_size, n_components, hidden_size)
        for part, shape in zip(Palette._fields, shapes, strict=True):
            self.register_buffer(f"palette_{part}", torch.zeros(shape))
        # What is left of the items' dense tokens, cold ones too: principal components.
        n_points = self.n_slots * n_components
        self.register_buffer("points", torch.zeros(self.n_items, n_points))
        self.item_head: ItemHead | None = None
        if self.item_weight > 0:
            self.item_head = ItemHead(
                self.n_items,
                n_points,
                hidden_size,
                config["item_head_size"],
                config["own_vector_dropout"],
                self.cold_items,
            )
        self.has_joined = False  # whether cold items are in the tree of items
        self.reserved = 0.0  # share of places for cold items, once they have
        self.trie: CodeTrie | None = None
        self.free_codes: FreeCodes | None = None
        self.tokenizer_report: dict = {}
        self.retokenized_same: float | None = None  # with all weights tuned: share of items
        self.certain: dict[int, float] = {}  # k: share of users with a certain top-k, last time
        self._text_batches: list[list[int]] = []

    def set_semantic_ids(self, semantic_ids: Tensor, palette: Palette) -> None:
        """Take the tokenizer's result: IDs of items 1 to N, int64 [N, L], and its codebooks."""
        self.semantic_ids[1:] = semantic_ids.to(self.semantic_ids)
        for part, values in zip(Palette._fields, palette, strict=True):
            getattr(self, f"palette_{part}").copy_(values)
        self._index_items()

    def set_points(self, points: Tensor) -> None:
        """Take the principal components of items 1 to N, fp32 [N, P], scaled to 1 on average."""
        self.points[1:] = (points / points.square().mean().sqrt()).to(self.points)

    def _by_item(self, states: Tensor) -> Tensor:
        """The item head's logits [..., n_items]."""
        return self.item_head(states, self.points, hide_cold=not self.has_joined)

    def _index_items(self):
        """Build the trie, and let the data set attach these semantic IDs to its batches."""
        is_known = torch.ones(self.n_items, dtype=torch.bool, device=self.device)
        is_known[0] = False
        is_known[self.cold_items] = self.has_joined
        item_ids = is_known.nonzero().squeeze(1)
        codes = self.semantic_ids[item_ids]
        self.trie = CodeTrie(codes, item_ids)
        self.free_codes = FreeCodes(codes, item_ids, self.code_tokens.vocabulary.sizes)
        self._dataset_table.copy_(self.semantic_ids)

    def join(self) -> None:
        """Let cold items into the catalogue, by the codes that stage 1 reads from their texts."""
        self.has_joined = True
        self._index_items()

    @property
    def palette(self) -> Palette:
        return Palette(*(getattr(self, f"palette_{part}") for part in Palette._fields))

    def use_stage(self, stage: str) -> None:
        """Choose which adapter reads, and what trains: "tokenizer" or "recommender"."""
        self.backbone.use_stage(stage)
        self.dense_tokenizer.requires_grad_(stage == "tokenizer")
        self.code_tokens.requires_grad_(stage == "recommender")
        if self.item_head is not None:
            self.item_head.requires_grad_(stage == "recommender")

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

    @property
    def trained_parameters(self) -> int:
        return sum(w.numel() for group in self.parameter_groups() for w in group["params"])

    @torch.no_grad()
    def encode(self, texts: list[str], batch_size: int = 64) -> Tensor:
        """Texts -> dense tokens [N, n_slots, H], as the tokenizer stage reads them."""
        was_training = self.training
        self.eval()
        self.use_stage("tokenizer")
        order = sorted(range(len(texts)), key=lambda place: len(texts[place]))
        dense = torch.empty(len(texts), self.n_slots, self.backbone.hidden_size)
        for start in range(0, len(texts), batch_size):
            places = order[start : start + batch_size]
            found = self.dense_tokenizer(self.backbone, [texts[place] for place in places])
            dense[places] = found.to(dense)
        self.use_stage("recommender")
        self.train(was_training)
        return dense.to(self.semantic_ids.device)

    def tokenize(self, texts: list[str]) -> Tensor:
        """Text-to-token for any items, new ones too: texts -> codes, int64 [N, n_slots]."""
        return self.palette.assign(self.encode(texts))

    def forward(self, window: Window) -> Tensor:
        """Hidden states from which each code of each target is predicted, [B, T, L, H]."""
        n_rows, n_items, n_levels = window.codes.shape
        tokens = self.code_dropout(self.code_tokens(window.codes))
        prompt = self.backbone.embed(self.history_prompt).expand(n_rows, -1, -1)
        inputs = torch.cat([prompt, tokens.flatten(1, 2)[:, :-1]], dim=1)
        # The state behind one code predicts the next, from the first item's last code on.
        first = prompt.size(1) + n_levels - 1
        return self.backbone(inputs)[:, first:].unflatten(1, (n_items - 1, n_levels))

    def calculate_loss(self, interaction):
        """Token-to-token on windows, plus the weighted text tasks on the next items in turn.

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
        of one piece only.
        """
        lengths = interaction[self.ITEM_SEQ_LEN]
        learnt = self._wanted_targets(interaction).any(1)
        for part in torch.argsort(lengths).split(rows or len(lengths)):
            share = learnt[part].sum() / learnt.sum().clamp(min=1)
            yield "next_item", self.next_item_loss(interaction[part]) * share
        if self.align_weight > 0 or self.reconstruct_weight > 0:
            items = self._next_items(len(lengths))
            for start in range(0, len(items), rows or len(items)):
                part = items[start : start + (rows or len(items))]
                share = len(part) / len(items)
                if self.align_weight > 0:
                    yield "align", self.align_weight * share * self.align_loss(part)
                if self.reconstruct_weight > 0:
                    loss = self.reconstruct_weight * share * self.reconstruct_loss(part)
                    yield "reconstruct", loss

    def next_item_loss(self, interaction) -> Tensor:
        """Token-to-token: cross-entropy of the codes of every target of the windows.

        It is the mean over the codes of as many targets as these rows have on average, so that it
        is the mean over all targets once an epoch's batches are averaged.
        """
        history, target = self._history_codes(interaction), self._item_codes(interaction)
        window = make_window(history, interaction[self.ITEM_SEQ_LEN], target)
        wanted = self._wanted_targets(interaction)[:, : window.codes.size(1) - 1]
        is_target = window.is_target & wanted
        hidden = self(window)
        total = 0.0
        for level, head in enumerate(self.code_tokens.heads):
            logits = head(hidden[:, :, level][is_target])
            labels = window.codes[:, 1:, level][is_target]
            total = total + F.cross_entropy(logits, labels, reduction="sum")
        n_rows = int(is_target.any(1).sum())  # sampled negatives, as rows of their own, are none
        n_targets = max(n_rows * self.targets_per_row, 1)
        loss = total / (n_targets * window.codes.size(-1))
        if self.item_head is not None:
            items = torch.nn.functional.pad(interaction[self.ITEM_SEQ], (0, 1))
            items[torch.arange(len(items)), interaction[self.ITEM_SEQ_LEN]] = interaction[
                self.ITEM_ID
            ]
            labels = items[:, 1 : is_target.size(1) + 1][is_target]
            logits = self._by_item(hidden[:, :, 0][is_target])
            item_loss = F.cross_entropy(logits, labels, reduction="sum") / n_targets
            loss = loss + self.item_weight * item_loss
        return loss

    def _wanted_targets(self, interaction) -> Tensor:
        labels = (self.label_field, self.label_list)
        return wanted_targets(
            interaction[self.ITEM_SEQ_LEN],
            interaction[self.ITEM_SEQ].size(1),
            self.only_last,
            *(interaction[field] if field in interaction else None for field in labels),
        )

    def align_loss(self, items: list[int]) -> Tensor:
        """Auxiliary text-to-token: an item's codes from its text, so that both stay tied."""
        words = self._words_of(items).followed_by(self.align_prompt)
        codes = self.semantic_ids[items]
        hidden = self.backbone.read_words_then(words, self.code_tokens(codes[:, :-1]))  # [B, L, H]
        losses = [
            F.cross_entropy(head(hidden[:, level]), codes[:, level])
            for level, head in enumerate(self.code_tokens.heads)
        ]
        return sum(losses) / len(losses)

    def reconstruct_loss(self, items: list[int]) -> Tensor:
        """Codes -> text: cross-entropy of an item's text, given its semantic ID."""
        tokens = self.code_tokens(self.semantic_ids[items])
        return self.backbone.text_loss(
            tokens, self.task_prompt, self._words_of(items), self.word_vocabulary
        )

    def _words_of(self, items: list[int]) -> Words:
        """Items' texts as word pieces, padded to the longest of them."""
        part = Words(self.word_ids, self.word_counts).of_rows(items)
        return part._replace(ids=part.ids.long())

    def _next_items(self, n_windows: int) -> list[int]:
        """Items with text for the text tasks: as many a batch as make one pass an epoch.

        Items of a batch have texts of similar length, which spares padding.
        """
        n_items = max(round(n_windows / self.n_windows * len(self.items_with_text)), 1)
        if not self._text_batches:
            shuffled = torch.tensor(self.items_with_text)
            shuffled = shuffled[torch.randperm(len(shuffled))]
            self._text_batches = [
                batch.tolist()
                for batch in similar_lengths(self.word_counts.cpu()[shuffled], n_items, shuffled)
            ]
        return self._text_batches.pop()

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

    def _decoder(self, codes: Tensor, lengths: Tensor) -> CodeDecoder:
        prompt = self.backbone.embed(self.history_prompt)
        return CodeDecoder(
            self.backbone, self.code_tokens, self.code_tokens.heads, prompt, codes, lengths
        )

    @torch.no_grad()
    def predict(self, interaction):
        """Exact log-likelihood of each row's item, [B].

        RecBole repeats a user's history for each candidate; rows with the same history share one
        prefill.
        """
        codes, candidates = self._history_codes(interaction), self._item_codes(interaction)
        lengths = interaction[self.ITEM_SEQ_LEN]
        scores = torch.empty(len(lengths), device=codes.device)
        # RecBole counts FLOPs before there is a trie.
        over = "level" if self.trie is None else self.normalize_over
        histories = torch.cat([lengths[:, None], interaction[self.ITEM_SEQ]], 1)
        for group in group_candidates(histories, USERS_PER_PREFILL):
            decoder = self._decoder(codes[group.firsts], lengths[group.firsts])
            found = path_log_probs(decoder, group.fold(candidates), self.trie, over)
            if self.item_head is not None and self.fusion > 0:
                by_item = self._by_item(decoder.history_end[:, 0]).log_softmax(-1)
                items = group.fold(interaction[self.ITEM_ID][:, None]).squeeze(-1)
                found = (1 - self.fusion) * found + self.fusion * by_item.gather(1, items)
            scores[group.rows] = group.unfold(found)
        return scores

    @torch.no_grad()
    def recommend(self, interaction, hidden: tuple[Tensor, Tensor] | None = None) -> Beams:
        """The likeliest items of each user, best first, found as ``decoding`` says.

        Args:
            hidden: rows of the batch, ascending, and item_ids that they must not get; others take
                their places.
        """
        if self.trie is None:
            raise RuntimeError("STORE has no semantic IDs yet: train it or load a checkpoint.")
        codes, lengths = self._history_codes(interaction), interaction[self.ITEM_SEQ_LEN]
        order = torch.argsort(lengths)  # histories of similar length need little padding
        found = []
        for rows in order.split(USERS_PER_PREFILL):
            decoder = self._decoder(codes[rows], lengths[rows])
            found.append(self._search(decoder, pairs_of_rows(hidden, rows)))
        in_order = torch.argsort(order)
        return Beams(*(torch.cat(parts)[in_order] for parts in zip(*found, strict=True)))

    def _search(self, decoder: CodeDecoder, hidden: tuple[Tensor, Tensor] | None) -> Beams:
        beams = self._find(decoder, hidden)
        if self.reserved and self.has_joined:
            warm = torch.ones(self.n_items, dtype=torch.bool, device=self.device)
            warm[self.cold_items] = False
            warm = warm.nonzero().squeeze(1)
            rows = torch.arange(decoder.n_users, device=self.device).repeat_interleave(len(warm))
            pairs = (rows, warm.repeat(decoder.n_users))
            if hidden is not None:
                pairs = tuple(torch.cat(parts) for parts in zip(pairs, hidden, strict=True))
            decoder.restart()
            beams = reserve_places(beams, self._find(decoder, pairs), self.reserved)
        return beams

    def _find(self, decoder: CodeDecoder, hidden: tuple[Tensor, Tensor] | None) -> Beams:
        if self.decoding == "free":
            return free_beam_search(decoder, self.free_codes, self.num_beams, hidden)
        excluded = None
        if hidden is not None:
            excluded = ExcludedItems.of(self.trie, *hidden, decoder.n_users)
        if self.item_head is not None and self.fusion > 0:
            return self._fused_search(decoder, hidden, excluded)
        arguments = (decoder, self.trie, self.num_beams)
        if self.decoding == "exact":
            return exact_search(*arguments, self.max_topk, self.normalize_over, excluded)
        return beam_search(*arguments, self.normalize_over, excluded)

    def _fused_search(self, decoder: CodeDecoder, hidden, excluded) -> Beams:
        """Beam search's items and the item head's best, ranked by both scores."""
        by_item = self._by_item(decoder.history_end[:, 0]).log_softmax(-1)
        if hidden is not None:
            by_item[hidden] = -torch.inf
        beams = beam_search(decoder, self.trie, self.num_beams, self.normalize_over, excluded)
        best, others = by_item.topk(beams.item_ids.size(1))
        # Where fewer items are left, an item that beam search has found already.
        others = others.where(best > -torch.inf, beams.item_ids[:, :1])
        decoder.restart()
        found = path_log_probs(decoder, self.semantic_ids[others], self.trie, self.normalize_over)
        return fuse(beams, Beams(others, found, beams.pruned), by_item, self.fusion)

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
            "retokenized_same": self.retokenized_same,
            "precision": "bf16" if self.backbone.bf16 else "fp32",
            "eval_precision": "bf16" if self.backbone.eval_bf16 else "fp32",
        }

    def statistics(self) -> dict:
        """Collisions, utilisation and entropy of the semantic IDs."""
        return statistics(self.semantic_ids[1:], self.codebook_size)
