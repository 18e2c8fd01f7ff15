"""STORE: one LLM tokenizes items and generates the next item's tokens.

Reference:
    Qijiong Liu et al. "STORE: Streamlining Semantic Tokenization and Generative Recommendation
    with A Single LLM." arXiv 2409.07276, 2024; version 3, "Learning Multi-Aspect Item Palette",
    2025.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from recbole.model.abstract_recommender import SequentialRecommender
from recbole.utils import InputType
from torch import Tensor, nn

from recbole_store.generator.beam_search import beam_search, path_log_probs
from recbole_store.generator.code_decoder import CodeDecoder
from recbole_store.generator.code_sequence import CodeVocabulary, Window, make_window
from recbole_store.generator.code_trie import CodeTrie
from recbole_store.generator.item_scores import dense_scores
from recbole_store.llm import Backbone
from recbole_store.tokenizer.dense_tokens import TASK, DenseTokenizer
from recbole_store.tokenizer.item_text import join_pieces
from recbole_store.tokenizer.quantizers import Palette
from recbole_store.tokenizer.semantic_ids import statistics

USERS_PER_PREFILL = 64  # bounds the key-value cache, whatever eval_batch_size is

# Length of a head's rows at the start. The LLM's last states are an order longer than its inputs
# (40 against 3 in SmolLM2), so rows of a word embedding's length would start it far too sure.
HEAD_NORM = 0.5


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
        self.align_weight = config["align_weight"]
        self.reconstruct_weight = config["reconstruct_weight"]
        self.learning_rates = (config["learning_rate"], config["code_learning_rate"])
        self.label_field = config["LABEL_FIELD"]
        self.label_list = config["LABEL_FIELD"] + config["LIST_SUFFIX"]
        self.semantic_id_fields = tuple(f"semantic_id_{f}" for f in (self.ITEM_SEQ, self.ITEM_ID))
        self.texts = [join_pieces(pieces) for pieces in dataset.item_texts]
        self.pieces = dataset.item_texts
        self.items_with_text = [item for item, text in enumerate(self.texts) if text]
        # Rows of benchmark files overlap, so only their own target counts.
        self.only_last = dataset.window_rows is None
        self.n_windows = len(dataset)
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
        )
        hidden_size, word_norm = self.backbone.hidden_size, self.backbone.word_norm
        self.dense_tokenizer = DenseTokenizer(
            self.n_slots, hidden_size, word_norm, config["max_text_words"]
        )
        self.vocabulary = CodeVocabulary(
            [self.codebook_size] * self.n_slots + [config["disambiguation_size"]]
        )
        self.code_embedding = nn.Embedding(len(self.vocabulary), hidden_size)
        self.code_heads = nn.ModuleList(
            nn.Linear(hidden_size, size, bias=False) for size in self.vocabulary.sizes
        )
        self.code_dropout = nn.Dropout(config["code_dropout"])
        texts = self.backbone.words(self.texts, config["max_text_words"])
        self.register_buffer("word_vocabulary", texts.ids.unique(), persistent=False)
        prompt = self.backbone.words([config["history_prompt"]]).ids[0]
        self.register_buffer("history_prompt", prompt, persistent=False)
        align = self.backbone.words([" " + config["align_prompt"]]).ids[0]
        self.register_buffer("align_prompt", align, persistent=False)

        # What the tokenizer finds; shapes are known now, contents come with training or loading.
        n_levels = self.vocabulary.n_levels
        self.register_buffer("semantic_ids", torch.zeros(self.n_items, n_levels, dtype=torch.long))
        n_components = min(config["pca_dim"], hidden_size, self.n_items - 1)
        shapes = Palette.shapes(self.n_slots, self.codebook_size, n_components, hidden_size)
        for part, shape in zip(Palette._fields, shapes, strict=True):
            self.register_buffer(f"palette_{part}", torch.zeros(shape))
        self.trie: CodeTrie | None = None
        self.tokenizer_report: dict = {}
        self.retokenized_same: float | None = None  # with all weights tuned: share of items
        self._align_order: list[int] = []

        # parameters initialization
        self._init_codes()

    def _init_codes(self):
        """Random directions, embeddings of the length that the LLM's word embeddings have."""
        for head in self.code_heads:
            nn.init.normal_(head.weight)
            with torch.no_grad():
                head.weight.copy_(F.normalize(head.weight, dim=-1) * HEAD_NORM)
        nn.init.normal_(self.code_embedding.weight)
        with torch.no_grad():
            directions = F.normalize(self.code_embedding.weight, dim=-1)
            self.code_embedding.weight.copy_(directions * self.backbone.word_norm)

    def start_codes_from(self, means: Tensor, counts: Tensor) -> None:
        """Start code embeddings and heads from the items that carry the codes.

        Args:
            means: [n_slots, C, H], mean dense token of each code's items; counts: [n_slots, C].
                Codes without items and the disambiguation level, which means nothing, stay random.
        """
        directions = F.normalize(means, dim=-1).to(self.code_embedding.weight)
        with torch.no_grad():
            used_codes = (counts > 0).to(directions.device)
            for level, (vectors, used) in enumerate(zip(directions, used_codes, strict=True)):
                start = int(self.vocabulary.offsets[level])
                embedding = self.code_embedding.weight[start : start + self.codebook_size]
                embedding[used] = vectors[used] * self.backbone.word_norm
                self.code_heads[level].weight[used] = vectors[used] * HEAD_NORM

    def set_semantic_ids(self, semantic_ids: Tensor, palette: Palette) -> None:
        """Take the tokenizer's result: IDs of items 1 to N, int64 [N, L], and its codebooks."""
        self.semantic_ids[1:] = semantic_ids.to(self.semantic_ids)
        for part, values in zip(Palette._fields, palette, strict=True):
            getattr(self, f"palette_{part}").copy_(values)
        self._index_items()

    def _index_items(self):
        """Build the trie, and let the data set attach these semantic IDs to its batches."""
        item_ids = torch.arange(1, self.n_items, device=self.semantic_ids.device)
        self.trie = CodeTrie(self.semantic_ids[1:], item_ids)
        self._dataset_table.copy_(self.semantic_ids)

    @property
    def palette(self) -> Palette:
        return Palette(*(getattr(self, f"palette_{part}") for part in Palette._fields))

    def use_stage(self, stage: str) -> None:
        """Choose which adapter reads, and what trains: "tokenizer" or "recommender"."""
        self.backbone.use_stage(stage)
        self.dense_tokenizer.requires_grad_(stage == "tokenizer")
        self.code_embedding.requires_grad_(stage == "recommender")
        self.code_heads.requires_grad_(stage == "recommender")

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
        parts = [
            self.dense_tokenizer(self.backbone, texts[start : start + batch_size])
            for start in range(0, len(texts), batch_size)
        ]
        self.use_stage("recommender")
        self.train(was_training)
        return torch.cat(parts)

    def tokenize(self, texts: list[str]) -> Tensor:
        """Text-to-token for any items, new ones too: texts -> codes, int64 [N, n_slots]."""
        return self.palette.assign(self.encode(texts))

    def forward(self, window: Window) -> Tensor:
        """Hidden states from which each code of each target is predicted, [B, T, L, H]."""
        n_rows, n_items, n_levels = window.codes.shape
        tokens = self.code_dropout(self.embed_codes(window.codes))
        prompt = self.backbone.embed(self.history_prompt).expand(n_rows, -1, -1)
        inputs = torch.cat([prompt, tokens.flatten(1, 2)[:, :-1]], dim=1)
        # The state behind one code predicts the next, from the first item's last code on.
        first = prompt.size(1) + n_levels - 1
        return self.backbone(inputs)[:, first:].unflatten(1, (n_items - 1, n_levels))

    def embed_codes(self, codes: Tensor) -> Tensor:
        """Codes [..., l] of the first l levels -> input vectors [..., l, H].

        A code means little without those before it, so each input is the sum of its prefix's
        embeddings (at one scale): behind an item's last code the LLM reads the whole item at once.
        """
        embeddings = self.code_embedding(self.vocabulary.code_token_ids(codes))
        depth = torch.arange(1, codes.size(-1) + 1, device=codes.device)
        return embeddings.cumsum(-2) / depth.sqrt()[:, None]

    def calculate_loss(self, interaction):
        """Token-to-token on windows, plus the weighted text tasks on the next items in turn.

        Returns:
            A tuple of losses, which RecBole sums and logs one by one.
        """
        losses = [self.next_item_loss(interaction)]
        if self.align_weight > 0 or self.reconstruct_weight > 0:
            items = self._next_items(len(interaction))
            if self.align_weight > 0:
                losses.append(self.align_weight * self.align_loss(items))
            if self.reconstruct_weight > 0:
                losses.append(self.reconstruct_weight * self.reconstruct_loss(items))
        return tuple(losses) if len(losses) > 1 else losses[0]

    def next_item_loss(self, interaction) -> Tensor:
        """Token-to-token: mean cross-entropy over the codes of every target of the windows.

        Rows are read in groups of similar length, so that short histories are not padded to the
        longest one.
        """
        history, target = self._codes_of(interaction, 0), self._codes_of(interaction, 1)
        lengths = interaction[self.ITEM_SEQ_LEN]
        wanted = self._wanted_targets(interaction)
        if not wanted.any():
            return self.code_embedding.weight.sum() * 0.0
        total, n_codes = 0.0, 0
        for rows in torch.argsort(lengths).chunk(max(len(lengths) // 8, 1)):
            window = make_window(history[rows], lengths[rows], target[rows])
            is_target = window.is_target & wanted[rows, : window.codes.size(1) - 1]
            hidden = self(window)
            for level, head in enumerate(self.code_heads):
                logits = head(hidden[:, :, level][is_target])
                labels = window.codes[:, 1:, level][is_target]
                total = total + F.cross_entropy(logits, labels, reduction="sum")
            n_codes += int(is_target.sum()) * len(self.code_heads)
        return total / n_codes

    def _wanted_targets(self, interaction) -> Tensor:
        """bool [B, T]: whether item t + 1 of each window is to be learnt.

        Labels in the data belong to single items; the label of a sampled negative, which has no
        list of labels, belongs to its row.
        """
        lengths = interaction[self.ITEM_SEQ_LEN]
        place = torch.arange(interaction[self.ITEM_SEQ].size(1), device=lengths.device)
        is_last = place[None] == lengths[:, None] - 1
        wanted = (place[None] < lengths[:, None]) & (is_last | (not self.only_last))
        if self.label_field in interaction:
            last = interaction[self.label_field][:, None] > 0
            if self.label_list in interaction:
                earlier = F.pad(interaction[self.label_list][:, 1:] > 0, (0, 1))
                wanted = wanted & torch.where(is_last, last, earlier)
            else:
                wanted = wanted & last
        return wanted

    def align_loss(self, items: list[int]) -> Tensor:
        """Auxiliary text-to-token: an item's codes from its text, so that both stay tied."""
        words = self.backbone.words(
            [self.texts[item] for item in items], self.dense_tokenizer.max_words
        )
        words = words.followed_by(self.align_prompt)
        codes = self.semantic_ids[items]
        tail = self.embed_codes(codes[:, :-1])
        hidden = self.backbone.read_words_then(words, tail)  # [B, L, H]
        losses = [
            F.cross_entropy(head(hidden[:, level]), codes[:, level])
            for level, head in enumerate(self.code_heads)
        ]
        return sum(losses) / len(losses)

    def reconstruct_loss(self, items: list[int]) -> Tensor:
        """Codes -> text: cross-entropy of an item's text, given its semantic ID."""
        tokens = self.embed_codes(self.semantic_ids[items])
        words = self.backbone.words(
            [self.texts[item] for item in items], self.dense_tokenizer.max_words
        )
        return self.backbone.text_loss(
            tokens, self.backbone.words([TASK]), words, self.word_vocabulary
        )

    def _next_items(self, n_windows: int) -> list[int]:
        """Items with text for the text tasks: as many a batch as make one pass an epoch."""
        share = n_windows / self.n_windows
        wanted = max(round(share * len(self.items_with_text)), 1)
        if len(self._align_order) < wanted:
            permutation = torch.randperm(len(self.items_with_text)).tolist()
            self._align_order += [self.items_with_text[i] for i in permutation]
        taken, self._align_order = self._align_order[:wanted], self._align_order[wanted:]
        return taken

    def _codes_of(self, interaction, which: int) -> Tensor:
        """Semantic IDs of the history (0) or of the item (1), as the transform attached them.

        RecBole's case studies skip the transform; then they come from the model's own table.

        Raises:
            RuntimeError: the data carries other semantic IDs than this model's.
        """
        items = interaction[(self.ITEM_SEQ, self.ITEM_ID)[which]]
        own = self.semantic_ids[items]
        field = self.semantic_id_fields[which]
        # Sampled candidates replace the item after the transform: only histories can be compared.
        if which == 0 and field in interaction and not torch.equal(interaction[field], own):
            raise RuntimeError(
                "The data set carries other semantic IDs than this model: prepare the data with "
                "the config of the model's own checkpoint."
            )
        return own

    def _decoder(self, codes: Tensor, lengths: Tensor) -> CodeDecoder:
        prompt = self.backbone.embed(self.history_prompt)
        return CodeDecoder(
            self.backbone,
            self.embed_codes,
            self.code_heads,
            prompt,
            codes,
            lengths,
        )

    @torch.no_grad()
    def predict(self, interaction):
        """Exact log-likelihood of each row's item, [B].

        RecBole repeats a user's history for each candidate; rows with the same history share one
        prefill.
        """
        codes, candidates = self._codes_of(interaction, 0), self._codes_of(interaction, 1)
        key = torch.cat([interaction[self.ITEM_SEQ_LEN][:, None], interaction[self.ITEM_SEQ]], 1)
        _, user = torch.unique(key, dim=0, return_inverse=True)
        order = torch.argsort(user, stable=True)
        scores = torch.empty(len(user), device=codes.device)
        for users in user[order].unique_consecutive().split(USERS_PER_PREFILL):
            rows = order[(user[order] >= users[0]) & (user[order] <= users[-1])]
            group = user[rows] - users[0]
            counts = torch.bincount(group)
            starts = counts.cumsum(0) - counts
            place = torch.arange(len(rows), device=rows.device) - starts[group]
            paths = candidates.new_zeros(len(counts), int(counts.max()), candidates.size(1))
            paths[:] = candidates[rows[starts]][:, None]  # padding repeats a real candidate
            paths[group, place] = candidates[rows]
            firsts = rows[starts]
            decoder = self._decoder(codes[firsts], interaction[self.ITEM_SEQ_LEN][firsts])
            # RecBole counts FLOPs before there is a trie.
            over = "level" if self.trie is None else self.normalize_over
            found = path_log_probs(decoder, paths, self.trie, over)
            scores[rows] = found[group, place]
        return scores

    @torch.no_grad()
    def full_sort_predict(self, interaction):
        """Scores of all items by constrained beam search, [B, n_items]."""
        if self.trie is None:
            raise RuntimeError("STORE has no semantic IDs yet: train it or load a checkpoint.")
        codes, lengths = self._codes_of(interaction, 0), interaction[self.ITEM_SEQ_LEN]
        scores = torch.empty(len(codes), self.n_items, device=codes.device)
        for rows in torch.argsort(lengths).split(USERS_PER_PREFILL):
            decoder = self._decoder(codes[rows], lengths[rows])
            beams = beam_search(decoder, self.trie, self.num_beams, self.normalize_over)
            scores[rows] = dense_scores(beams, self.n_items)
        return scores

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
        }

    def statistics(self) -> dict:
        """Collisions, utilisation and entropy of the semantic IDs."""
        return statistics(self.semantic_ids[1:], self.codebook_size)
