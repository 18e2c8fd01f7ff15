"""The one backbone of all four tasks: loading, adapters, precision, forward passes.

The only module that imports peft, and transformers for STORE. Everything else hands it vectors
(``inputs``) or words and gets hidden states or losses back.
"""

from __future__ import annotations

import contextlib
import io
import warnings
from pathlib import Path

import torch
import torch.nn.functional as F
from peft import LoraConfig
from torch import Tensor, nn
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, DynamicCache
from transformers.utils import logging as transformers_logging

from recbole_store.backbone_files import BackboneError, locate
from recbole_store.precision import use_bf16
from recbole_store.stage_copies import StageCopies
from recbole_store.words import Words

STAGES = ("tokenizer", "recommender")


class Backbone(nn.Module):
    """A Hugging Face causal LM, cut to its first layers, with weights for each training stage.

    Args:
        name: hub name, local folder, or ``smollm2-135m``.
        n_layers: keep the first n transformer layers; None keeps all.
        tuning: ``lora`` (an adapter a stage), ``full`` (the layers' weights, a set a stage; word
            embeddings frozen) or ``frozen``.
        precision: of training; ``auto``, ``bf16`` or ``fp32``; bf16 is autocast over fp32 weights.
        lora: rank, alpha, dropout and target_modules (None: peft's choice for the architecture).
        checkpointing: recompute activations in the backward pass: less memory, a third more time.
        compiled: compile training's forward and backward passes with torch.compile.
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
        compiled: bool = False,
        eval_precision: str = "fp32",
        hidden_dropout: float = 0.0,
    ):
        super().__init__()
        self.tuning = tuning
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
                lora_alpha=lora["alpha"],
                lora_dropout=lora["dropout"],
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
        if hidden_dropout > 0:
            for layer in self._layers(name):
                layer.register_forward_hook(self._drop)
        if checkpointing:
            self.llm.gradient_checkpointing_enable({"use_reentrant": False})
        self.compiled = compiled
        if compiled:
            self.llm.base_model.compile(dynamic=True)
        self.use_stage("recommender")

    def _layers(self, name: str) -> nn.ModuleList:
        """The transformer layers, whatever the architecture calls them."""
        n_layers = self.llm.config.num_hidden_layers
        for part in self.llm.base_model.modules():
            if isinstance(part, nn.ModuleList) and len(part) == n_layers:
                return part
        raise BackboneError(f"{name} has no list of layers for `hidden_dropout`: set it to 0.")

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

    def words(self, texts: list[str], max_words: int | None = None) -> Words:
        """Texts -> word-piece ids [B, W], right-padded; an empty text becomes one end-of-text."""
        eos = self.tokenizer.eos_token_id
        rows = self.tokenizer(list(texts), add_special_tokens=False)["input_ids"]
        rows = [(row[:max_words] if max_words else row) or [eos] for row in rows]
        return Words.padded(rows, eos, self.llm.get_input_embeddings().weight.device)

    def embed(self, ids: Tensor) -> Tensor:
        """Word-piece ids [...] -> input vectors [..., H]."""
        return self.llm.get_input_embeddings()(ids)

    def new_cache(self) -> DynamicCache:
        """An empty key-value cache for :meth:`forward`."""
        return DynamicCache(config=self.llm.config)

    def forward(self, inputs: Tensor, mask=None, positions=None, cache=None) -> Tensor:
        """Input vectors [B, S, H] -> hidden states [B, S, H], fp32.

        Rows are right-padded: under causal attention no real position sees padding, so no mask is
        needed unless the caller attends along a tree.

        Args:
            mask: additive [B, 1, S, past + S]; None is causal.
            positions: int64 [B, S]; None counts from the cache's length.
            cache: read and extended in place.
        """
        # Decoding's shapes change with every batch and level: only training is compiled.
        eagerly = self.compiled and not self.training
        bf16 = self.bf16 if self.training else self.eval_bf16 and self.stage == "recommender"
        with (
            torch.autocast(inputs.device.type, dtype=torch.bfloat16, enabled=bf16),
            torch.compiler.set_stance("force_eager") if eagerly else contextlib.nullcontext(),
        ):
            output = self.llm.base_model(
                inputs_embeds=inputs,
                attention_mask=mask,
                position_ids=positions,
                past_key_values=cache,
                use_cache=cache is not None,
            )
        return output.last_hidden_state.float()

    def read_words_then(self, words: Words, tail: Tensor) -> Tensor:
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

    def text_loss(self, prefix: Tensor, task: Tensor, words: Words, vocabulary: Tensor) -> Tensor:
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


def load(name: str, n_layers: int | None):
    """A causal LM in fp32 with its first ``n_layers`` layers, and its tokenizer.

    Raises:
        BackboneError: the name leads to no model, or the model has fewer layers.
    """
    with quiet(), _refusals(name):
        source = locate(name, convert_gguf)
        config = _read_config(source, name, n_layers)
        llm = AutoModelForCausalLM.from_pretrained(source, config=config, dtype=torch.float32)
        return llm, AutoTokenizer.from_pretrained(source)


def read_config(name: str, n_layers: int | None):
    """The LLM's configuration, cut to ``n_layers``: enough to know whether it can be loaded.

    Raises:
        BackboneError: as :func:`load`.
    """
    with quiet(), _refusals(name):
        return _read_config(locate(name, convert_gguf), name, n_layers)


def _read_config(source: str, name: str, n_layers: int | None):
    config = AutoConfig.from_pretrained(source)
    if n_layers is not None and n_layers > config.num_hidden_layers:
        raise BackboneError(
            f"`backbone_layers` is {n_layers}, but {name} has {config.num_hidden_layers}."
        )
    config.num_hidden_layers = n_layers or config.num_hidden_layers
    if getattr(config, "layer_types", None):
        config.layer_types = config.layer_types[: config.num_hidden_layers]
    return config


@contextlib.contextmanager
def _refusals(name: str):
    """Turn what transformers raises over a name into one sentence."""
    try:
        yield
    except BackboneError:
        raise
    except (OSError, ValueError, ImportError) as error:
        said = (str(error).splitlines() or [type(error).__name__])[0]
        raise BackboneError(
            f"Cannot load the backbone `{name}`: it must be a causal LM of transformers, given by "
            f"hub name, by local folder, or as smollm2-135m ({said})."
        ) from error


@contextlib.contextmanager
def quiet():
    """No progress bars and no warnings: dropped layers would be reported as unused weights."""
    verbosity = transformers_logging.get_verbosity()
    bars = transformers_logging.is_progress_bar_enabled()
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        transformers_logging.set_verbosity(verbosity)
        if bars:
            transformers_logging.enable_progress_bar()


def convert_gguf(gguf: Path, target: Path) -> None:
    """Dequantise a GGUF file and keep it as safetensors with its tokenizer; no seed moves."""
    # The reader's own progress bar knows no switch.
    with contextlib.redirect_stderr(io.StringIO()), torch.random.fork_rng():
        tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
        quantised = AutoModelForCausalLM.from_pretrained(
            gguf.parent, gguf_file=gguf.name, dtype=torch.float32
        )
        config = quantised.config
        del config.quantization_config  # a model from GGUF refuses to be saved with it
        plain = AutoModelForCausalLM.from_config(config)
    plain.load_state_dict(quantised.state_dict())
    plain.save_pretrained(target)
    tokenizer.save_pretrained(target)
