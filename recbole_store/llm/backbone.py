"""The one backbone of all four tasks: loading, adapters, precision, forward passes.

The only module that imports peft, and transformers for STORE. Everything else hands it vectors
(``inputs``) or words and gets hidden states or losses back.
"""

from __future__ import annotations

import warnings

import torch
import torch.nn.functional as F
from peft import LoraConfig
from torch import Tensor, nn
from transformers import DynamicCache

from recbole_store.errors import BackboneError
from recbole_store.llm.loading import load
from recbole_store.llm.precision import use_bf16
from recbole_store.llm.stage_weights import StageCopies
from recbole_store.llm.token_batches import TokenBatch

STAGES = ("tokenizer", "recommender")
# Of the adapters, as the paper's authors have them: scale / rank is what an adapter is weighted by.
LORA_ALPHA, LORA_DROPOUT = 128, 0.1


class Backbone(nn.Module):
    """A Hugging Face causal LM, cut to its first layers, with weights for each training stage.

    Args:
        name: hub name, local folder, or ``smollm2-135m``.
        n_layers: keep the first n transformer layers; None keeps all.
        tuning: ``lora`` (an adapter a stage), ``full`` (the layers' weights, a set a stage; word
            embeddings frozen) or ``frozen``.
        precision: of training; ``auto``, ``bf16`` or ``fp32``; bf16 is autocast over fp32 weights.
        lora: rank and target_modules (None: peft's choice for the architecture).
        checkpointing: recompute activations in the backward pass: less memory, a third more time.
        hidden_dropout: of what each layer adds to its input, while the recommender trains.
        eval_precision: of decoding. In bf16, how a batch is put together changes scores in the
            third digit, and so ranks. Tokenizing is in fp32, as an item's codes are its own.

    Attributes:
        hidden_size: H.
        word_norm: mean L2 norm of the word embeddings, the scale of a usual input.
        bf16, eval_bf16: whether forward passes run in bfloat16, in training and in decoding.
    """

    def __init__(
        self,
        name,
        n_layers,
        tuning,
        precision,
        lora,
        device,
        checkpointing: bool = False,
        eval_precision: str = "fp32",
        hidden_dropout: float = 0.0,
    ):
        super().__init__()
        self.tuning = tuning
        self._source = (name, n_layers)
        self.llm, self.tokenizer = load(name, n_layers)
        self.hidden_size = self.llm.config.hidden_size
        words = self.llm.get_input_embeddings().weight
        self.word_norm = words.detach().norm(dim=-1).mean().item()
        self.bf16 = use_bf16(precision, torch.device(device))
        self.eval_bf16 = use_bf16(eval_precision, torch.device(device))
        self.llm.requires_grad_(False)
        if tuning == "lora":
            adapter = LoraConfig(
                r=lora["rank"],
                lora_alpha=LORA_ALPHA,
                lora_dropout=LORA_DROPOUT,
                target_modules=lora["target_modules"],
            )
            try:
                with warnings.catch_warnings():  # peft warns of a second adapter, which is meant
                    warnings.simplefilter("ignore", UserWarning)
                    for stage in STAGES:
                        self.llm.add_adapter(adapter, adapter_name=stage)
            except ValueError as error:
                raise BackboneError(
                    f"{name} has no layers `lora_target_modules` {lora['target_modules']}."
                ) from error
        self.copies: StageCopies | None = None
        if tuning == "full":
            self.llm.base_model.requires_grad_(True)
            words.requires_grad_(False)
            tuned = [weight for weight in self.llm.base_model.parameters() if weight.requires_grad]
            self.copies = StageCopies(tuned, "recommender")
        self.hidden_dropout = hidden_dropout
        layers = self._layers()
        if hidden_dropout > 0 and layers is None:
            raise BackboneError(f"{name} has no list of layers for `dropout`: set it to 0.")
        if hidden_dropout > 0:
            for layer in layers:
                layer.register_forward_hook(self._drop)
        self._only_at: Tensor | None = None  # int64 [B, 1, H], see forward
        self._n_positions = 0
        last_mlp = None if layers is None else getattr(layers[-1], "mlp", None)
        if last_mlp is not None:
            last_mlp.register_forward_pre_hook(self._take_asked)
            last_mlp.register_forward_hook(self._put_back)
        if checkpointing:
            self.llm.gradient_checkpointing_enable({"use_reentrant": False})
        self.use_stage("recommender")

    def _layers(self) -> nn.ModuleList | None:
        """The transformer layers, whatever the architecture calls them; None if it has no list."""
        n_layers = self.llm.config.num_hidden_layers
        for part in self.llm.base_model.modules():
            if isinstance(part, nn.ModuleList) and len(part) == n_layers:
                return part
        return None

    def _take_asked(self, mlp: nn.Module, inputs: tuple) -> tuple | None:
        """Of what the last layer's MLP reads, the states that somebody asked for."""
        if self._only_at is None:
            return None
        return (inputs[0].gather(1, self._only_at), *inputs[1:])

    def _put_back(self, mlp: nn.Module, inputs: tuple, output: Tensor) -> Tensor | None:
        """Right where it was asked for; elsewhere anything will do, as nobody reads on from it."""
        if self._only_at is None:
            return None
        return output.expand(-1, self._n_positions, -1)

    def _drop(self, layer: nn.Module, inputs: tuple, output):
        """Dropout of what a layer has added; LLMs come without, as they see no text twice."""
        if not (self.training and self.stage == "recommender"):
            return output
        before, after = inputs[0], output[0] if isinstance(output, tuple) else output
        after = before + F.dropout(after - before, self.hidden_dropout)
        return (after, *output[1:]) if isinstance(output, tuple) else after

    def use_stage(self, stage: str) -> None:
        """Let ``stage`` ("tokenizer" or "recommender") read, and train what it may train."""
        self.stage = stage
        if self.tuning == "lora":
            self.llm.set_adapter(stage)  # also freezes the other stage's adapter
        elif self.copies is not None:
            self.copies.use(stage)

    @torch.no_grad()
    def copy_stage(self, source: str, target: str) -> None:
        """Start one stage's adapter, or weights, from another's."""
        if self.copies is not None:
            self.copies.copy(source)
        if self.tuning == "lora":
            weights = dict(self.llm.named_parameters())
            for name, weight in weights.items():
                if f".{target}." in name:
                    weight.copy_(weights[name.replace(f".{target}.", f".{source}.")])

    def reloaded(self):
        """The LLM as it came, and its tokenizer, without any adapter."""
        return load(*self._source)

    def stage_weights(self, stage: str) -> dict[str, Tensor]:
        """What a stage trains of the LLM, by the LLM's own names; an adapter's lack the stage."""
        if self.tuning == "lora":
            named = self.llm.named_parameters()
            return {n.replace(f".{stage}.", "."): w for n, w in named if f".{stage}." in n}
        if self.copies is None:
            return {}
        mine = {id(weight): name for name, weight in self.llm.named_parameters()}
        return {mine[id(used)]: found for used, found in self.copies.of(stage)}

    def tokenize(self, texts: list[str], max_tokens: int | None = None) -> TokenBatch:
        """Texts -> word-piece ids [B, W], right-padded; an empty text becomes one end-of-text."""
        eos = self.tokenizer.eos_token_id
        rows = self.tokenizer(list(texts), add_special_tokens=False)["input_ids"]
        rows = [(row[:max_tokens] if max_tokens else row) or [eos] for row in rows]
        return TokenBatch.padded(rows, eos, self.llm.get_input_embeddings().weight.device)

    def embed(self, ids: Tensor) -> Tensor:
        """Word-piece ids [...] -> input vectors [..., H]."""
        return self.llm.get_input_embeddings()(ids)

    def new_cache(self) -> DynamicCache:
        """An empty key-value cache for :meth:`forward`."""
        return DynamicCache(config=self.llm.config)

    def forward(
        self, inputs: Tensor, mask=None, positions=None, cache=None, only_at: Tensor | None = None
    ) -> Tensor:
        """Input vectors [B, S, H] -> hidden states [B, S, H], fp32.

        Rows are right-padded: under causal attention no real position sees padding, so no mask is
        needed unless the caller attends along a tree.

        Args:
            mask: additive [B, 1, S, past + S]; None is causal.
            positions: int64 [B, S]; None counts from the cache's length.
            cache: read and extended in place.
            only_at: int64 [B], the one position of each row whose state is asked for: then it is
                [B, 1, H]. The last layer's MLP, of two layers a third of the work, is spared the
                others.
        """
        if only_at is None:
            return self._states(inputs, mask, positions, cache)
        self._n_positions = inputs.size(1)
        self._only_at = only_at[:, None, None].expand(-1, 1, inputs.size(2))
        try:
            return self._states(inputs, mask, positions, cache).gather(1, self._only_at)
        finally:
            self._only_at = None

    def _states(self, inputs: Tensor, mask, positions, cache) -> Tensor:
        bf16 = self.bf16 if self.training else self.eval_bf16 and self.stage == "recommender"
        with torch.autocast(inputs.device.type, dtype=torch.bfloat16, enabled=bf16):
            output = self.llm.base_model(
                inputs_embeds=inputs,
                attention_mask=mask,
                position_ids=positions,
                past_key_values=cache,
                use_cache=cache is not None,
            )
        return output.last_hidden_state.float()

    def read_tokens_then(self, words: TokenBatch, tail: Tensor) -> Tensor:
        """Read a text and, directly behind it, the vectors ``tail`` [B, E, H].

        Returns:
            Hidden states at the text's last word and at each tail input, [B, E + 1, H].
        """
        n_tail = tail.size(1)
        place = torch.arange(words.ids.size(1) + n_tail, device=tail.device)
        in_tail = place[None] - words.lengths[:, None]  # [B, W + E]
        inputs = F.pad(self.embed(words.ids), (0, 0, 0, n_tail))
        tail_at = tail.gather(
            1, in_tail.clamp(0, n_tail - 1)[..., None].expand(-1, -1, tail.size(2))
        )
        is_tail = ((in_tail >= 0) & (in_tail < n_tail))[..., None]
        hidden = self(torch.where(is_tail, tail_at, inputs))
        wanted = words.lengths[:, None] - 1 + torch.arange(n_tail + 1, device=tail.device)
        return hidden.gather(1, wanted[..., None].expand(-1, -1, hidden.size(2)))

    @torch.no_grad()
    def write_text(self, prefix: Tensor, task: Tensor, vocabulary: Tensor, n_tokens: int) -> str:
        """The likeliest next word piece, again and again: a text behind vectors and a task.

        Args:
            prefix, task, vocabulary: as for :meth:`text_loss`, of one text.
            n_tokens: tokens of the text.
        """
        head = self.llm.get_output_embeddings().weight[vocabulary]
        cache, written = self.new_cache(), []
        inputs = torch.cat([prefix, self.embed(task)[None]], dim=1)
        for _ in range(n_tokens):
            state = self(inputs, cache=cache)[0, -1]
            written.append(int(vocabulary[F.linear(state, head).argmax()]))
            inputs = self.embed(vocabulary.new_tensor([[written[-1]]]))
        return self.tokenizer.decode(written).strip()

    def text_loss(
        self, prefix: Tensor, task: Tensor, words: TokenBatch, vocabulary: Tensor
    ) -> Tensor:
        """Mean cross-entropy of a text, read behind vectors and a task's words.

        Args:
            prefix: [B, E, H], all that is known of the text.
            task: word-piece ids [E'] of a task, e.g. "The text of this item:".
            words: the texts to predict.
            vocabulary: sorted word-piece ids that the softmax runs over. The catalogue's own few
                thousand instead of the LLM's 49 thousand halve the cost of a training step.
        """
        task_inputs = self.embed(task).expand(prefix.size(0), -1, -1)
        inputs = torch.cat([prefix, task_inputs, self.embed(words.ids[:, :-1])], dim=1)
        first = prefix.size(1) + len(task) - 1
        hidden = self(inputs)[:, first:]  # [B, W, H]
        place = torch.arange(words.ids.size(1), device=hidden.device)
        real = place[None] < words.lengths[:, None]
        head = self.llm.get_output_embeddings().weight[vocabulary]
        labels = torch.searchsorted(vocabulary, words.ids[real])
        return F.cross_entropy(F.linear(hidden[real], head), labels)
