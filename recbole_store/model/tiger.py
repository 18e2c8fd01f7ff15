"""TIGER: a small encoder-decoder generates the next item's semantic ID.

Reference:
    Shashank Rajput et al. "Recommender Systems with Generative Retrieval." NeurIPS 2023,
    arXiv 2305.05065. The layers are Hugging Face's T5, from scratch.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import DynamicCache, EncoderDecoderCache, T5Config, T5Model

from recbole_store.generator.code_tokens import CodeVocabulary
from recbole_store.generator.encoder_decoder_step import EncoderDecoderStep
from recbole_store.llm.precision import use_bf16
from recbole_store.model.semantic_id_model import SemanticIdModel
from recbole_store.tokenizer.item_tokenizer import ItemTokenizer

START = 0  # token id that pads histories and begins an item; codes follow it, then user tokens


class TIGER(SemanticIdModel):
    """T5 over code tokens: the encoder reads user and history, the decoder writes the next item.

    Shapes: S counts the tokens of a history, the user's token included.
    """

    def __init__(self, config, dataset):
        super().__init__(config, dataset)

        # load parameters info
        self.n_user_tokens = config["n_user_tokens"]
        self.learning_rate = config["learning_rate"]
        self.label_field = config["LABEL_FIELD"]
        self.bf16 = use_bf16(config["precision"], torch.device(config["device"]))
        self.eval_bf16 = use_bf16(config["eval_precision"], torch.device(config["device"]))

        # define layers
        self.item_tokenizer = ItemTokenizer(config, dataset.item_texts, self.cold_items)
        self.vocabulary = CodeVocabulary(self.item_tokenizer.sizes)
        self.t5 = T5Model(
            T5Config(
                vocab_size=1 + len(self.vocabulary) + self.n_user_tokens,
                d_model=config["d_model"],
                d_kv=config["d_kv"],
                d_ff=config["d_ff"],
                num_heads=config["num_heads"],
                num_layers=config["num_layers"],
                num_decoder_layers=config["num_decoder_layers"],
                dropout_rate=config["dropout_rate"],
                pad_token_id=START,
                decoder_start_token_id=START,
            )
        )

    def parameter_groups(self) -> list[dict]:
        return [{"params": list(self.parameters()), "lr": self.learning_rate}]

    def code_token_ids(self, codes: Tensor) -> Tensor:
        """Codes [..., l] of the first l levels -> token ids [..., l]."""
        return self.vocabulary.code_token_ids(codes) + START + 1

    @property
    def chance_loss(self) -> float:
        """The loss of who guesses each code among its level's."""
        sizes = self.item_tokenizer.sizes
        return sum(map(math.log, sizes)) / len(sizes)

    @property
    def heads(self) -> list:
        """Per level, hidden states [..., H] -> logits of the level's own codes [..., C].

        The input embeddings are the classifier too, at T5's scale.
        """
        weights = self.t5.shared.weight[START + 1 :][: len(self.vocabulary)]
        scale = self.t5.config.d_model**-0.5
        return [_Head(part, scale) for part in weights.split(self.item_tokenizer.sizes)]

    def history_tokens(self, interaction) -> tuple[Tensor, Tensor]:
        """What the encoder reads, token ids and which of them are real, [B, S]."""
        lengths = interaction[self.ITEM_SEQ_LEN]
        history = self._history_codes(interaction)[:, : max(int(lengths.max()), 1)]
        n_levels = history.size(-1)
        tokens = self.code_token_ids(history).flatten(1)
        place = torch.arange(tokens.size(1), device=tokens.device)
        real = place[None] < (lengths * n_levels)[:, None]
        tokens = tokens.masked_fill(~real, START)
        if self.n_user_tokens > 0:
            tokens = torch.cat([self.user_tokens(interaction)[:, None], tokens], dim=1)
            real = F.pad(real, (1, 0), value=True)
        return tokens, real

    def user_tokens(self, interaction) -> Tensor:
        """Users hashed to a few tokens, [B]."""
        return START + 1 + len(self.vocabulary) + interaction[self.USER_ID] % self.n_user_tokens

    def forward(self, tokens: Tensor, real: Tensor, codes: Tensor) -> Tensor:
        """Hidden states from which each code of the next item is predicted, [B, L, H].

        Args:
            tokens, real: of the history, [B, S].
            codes: [B, L], of which the last is not read.
        """
        inputs = F.pad(self.code_token_ids(codes[:, :-1]), (1, 0), value=START)
        with self._precision():
            output = self.t5(
                input_ids=tokens,
                attention_mask=real.long(),
                decoder_input_ids=inputs,
                use_cache=False,
            )
        return output.last_hidden_state.float()

    def n_learnt(self, interaction) -> int:
        """How many of the rows are targets: what a mean over a batch is of."""
        if self.label_field in interaction:
            return int((interaction[self.label_field] > 0).sum())
        return len(interaction)

    def calculate_loss(self, interaction):
        """Cross-entropy of each of the next item's codes among its level's, their mean."""
        if self.label_field in interaction:  # sampled or labelled negatives are no targets
            interaction = interaction[interaction[self.label_field] > 0]
            if len(interaction) == 0:
                return sum(weight.sum() * 0 for weight in self.parameters())
        codes = self._item_codes(interaction)
        hidden = self(*self.history_tokens(interaction), codes)
        losses = [
            F.cross_entropy(head(hidden[:, level]), codes[:, level])
            for level, head in enumerate(self.heads)
        ]
        return sum(losses) / len(losses)

    def context(self, interaction) -> Tensor:
        histories = super().context(interaction)
        if self.n_user_tokens == 0:
            return histories
        return torch.cat([self.user_tokens(interaction)[:, None], histories], dim=1)

    def decoder(self, interaction) -> EncoderDecoderStep:
        return EncoderDecoderStep(
            EncodedHistories(self, *self.history_tokens(interaction)), self.heads
        )

    def _precision(self):
        bf16 = self.bf16 if self.training else self.eval_bf16
        return torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=bf16)


class _Head:
    def __init__(self, weight: Tensor, scale: float):
        self.weight, self.scale = weight, scale

    def __call__(self, hidden: Tensor) -> Tensor:
        return F.linear(hidden * self.scale, self.weight)


class EncodedHistories:
    """Histories that the encoder has read once, and T5's decoder over them.

    A user's rows attend to the user's one set of cross-attention keys as so many queries: the keys
    are computed once and never copied. Among themselves rows have caches of their own; cross-
    attention has no positions, so the two ways to arrange rows do not disturb each other.

    A past is one tensor [B, K, 2 * layers, heads, l, d_kv], keys and values of each layer in turn.
    """

    def __init__(self, model: TIGER, tokens: Tensor, real: Tensor):
        self.model, self.t5 = model, model.t5
        with model._precision():
            states = self.t5.encoder(input_ids=tokens, attention_mask=real.long())
        self.states = states.last_hidden_state
        self.real = real
        self.cross = DynamicCache()

    def start(self) -> tuple[Tensor, Tensor]:
        rows = self.real.new_full((len(self.real), 1), START, dtype=torch.long)
        return self._decode(rows, None)

    def go_on(self, level: int, codes: Tensor, past: Tensor) -> tuple[Tensor, Tensor]:
        offset = int(self.model.vocabulary.offsets[level])
        return self._decode(codes + offset + START + 1, past)

    def select(self, users: Tensor) -> None:
        self.cross.batch_select_indices(users)
        self.states, self.real = self.states[users], self.real[users]

    def _decode(self, tokens: Tensor, past: Tensor | None) -> tuple[Tensor, Tensor]:
        n_users, n_rows = tokens.shape
        decoder = self.t5.decoder
        own = DynamicCache()
        if past is not None:
            layers = past.flatten(0, 1).unbind(1)  # each [B * K, heads, l, d_kv]
            own = DynamicCache(zip(layers[::2], layers[1::2], strict=True))
        cache = EncoderDecoderCache(own, self.cross)
        with self.model._precision():
            hidden = decoder.dropout(self.t5.shared(tokens.view(-1, 1)))  # [B * K, 1, H]
            unseen = torch.zeros(n_users, 1, 1, self.real.size(1), device=hidden.device)
            unseen.masked_fill_(~self.real[:, None, None], torch.finfo(hidden.dtype).min)
            bias = None  # by position; the first layer's is every layer's
            for attend_own, attend_history, feed_forward in (b.layer for b in decoder.block):
                hidden, bias, _ = attend_own(hidden, position_bias=bias, past_key_values=cache)
                hidden, *_ = attend_history(
                    hidden.view(n_users, n_rows, -1),
                    key_value_states=self.states,
                    attention_mask=unseen,
                    past_key_values=cache,
                )
                hidden = feed_forward(hidden.view(n_users * n_rows, 1, -1))
            hidden = decoder.dropout(decoder.final_layer_norm(hidden))
        kept = [part for layer in own.layers for part in (layer.keys, layer.values)]
        past = torch.stack(kept, dim=1).view(n_users, n_rows, len(kept), *kept[0].shape[1:])
        return hidden.view(n_users, n_rows, -1).float(), past
