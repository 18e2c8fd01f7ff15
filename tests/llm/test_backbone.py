"""The backbone's precision: what training may round, evaluation does not."""

from __future__ import annotations

import pytest
import torch

from recbole_store.errors import BackboneError
from recbole_store.llm import loading
from recbole_store.llm.backbone import Backbone
from recbole_store.llm.precision import use_bf16


def dtypes(backbone: Backbone) -> list[torch.dtype]:
    """Of a layer's products, in training and in evaluation."""
    seen = []
    layer = backbone.llm.base_model.layers[0].self_attn.q_proj
    hook = layer.register_forward_hook(lambda module, inputs, output: seen.append(output.dtype))
    inputs = torch.randn(2, 5, backbone.hidden_size)
    for mode in (True, False):
        hidden = backbone.train(mode)(inputs)
        assert hidden.dtype == torch.float32
    hook.remove()
    return seen


@pytest.mark.parametrize(
    ("precision", "eval_precision", "expected"),
    [
        ("bf16", "fp32", [torch.bfloat16, torch.float32]),
        ("fp32", "bf16", [torch.float32, torch.bfloat16]),
        ("fp32", "fp32", [torch.float32, torch.float32]),
    ],
)
def test_each_has_its_own_precision(tiny_llm, precision, eval_precision, expected):
    backbone = Backbone(
        str(tiny_llm), None, "full", precision, {}, "cpu", eval_precision=eval_precision
    )
    backbone.use_stage("recommender")
    assert dtypes(backbone) == expected
    backbone.use_stage("tokenizer")
    assert dtypes(backbone) == [expected[0], torch.float32]


@pytest.mark.parametrize(("amx", "avx512"), [(True, False), (False, True), (False, False)])
def test_auto_takes_bf16_where_the_cpu_multiplies_it(monkeypatch, amx, avx512):
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: avx512)
    assert use_bf16("auto", torch.device("cpu")) == (amx or avx512)
    assert use_bf16("bf16", torch.device("cpu"))
    assert not use_bf16("fp32", torch.device("cpu"))


@pytest.mark.parametrize("rank", [2, 8])
@torch.no_grad()
def test_an_adapter_s_product_is_scaled_by_128_over_its_rank(tiny_llm, rank):
    lora = {"rank": rank, "target_modules": ["q_proj"]}
    backbone = Backbone(str(tiny_llm), None, "lora", "fp32", lora, "cpu").eval()
    layer = backbone.llm.base_model.layers[0].self_attn.q_proj
    down, up = layer.lora_A["recommender"].weight, layer.lora_B["recommender"].weight
    up.normal_()
    inputs = torch.randn(3, down.size(1))
    expected = layer.base_layer(inputs) + 128 / rank * inputs @ down.T @ up.T
    assert down.size(0) == rank
    torch.testing.assert_close(layer(inputs), expected, rtol=1e-4, atol=1e-4)


def contributions(backbone: Backbone, inputs: torch.Tensor) -> list[torch.Tensor]:
    """What the first layer adds to its inputs, in two passes."""
    seen = []
    hook = backbone.llm.base_model.layers[0].register_forward_hook(
        lambda layer, inputs, output: seen.append((output - inputs[0]).detach())
    )
    for _ in range(2):
        backbone(inputs)
    hook.remove()
    return seen


def test_hidden_dropout_scales_or_drops_what_a_layer_adds(tiny_llm):
    make = [str(tiny_llm), None, "full", "fp32", {}, "cpu"]
    torch.manual_seed(0)
    inputs = torch.randn(2, 5, Backbone(*make).hidden_size)
    plain, _ = contributions(Backbone(*make).train(), inputs)
    backbone = Backbone(*make, hidden_dropout=0.5).train()
    first, second = contributions(backbone, inputs)
    assert not torch.equal(first == 0, second == 0)
    kept = first.abs() > 1e-6
    assert 0.3 < kept.float().mean() < 0.7
    torch.testing.assert_close(first[kept], 2 * plain[kept], rtol=1e-4, atol=1e-5)


def test_hidden_dropout_spares_the_tokenizer_and_evaluation(tiny_llm):
    make = [str(tiny_llm), None, "full", "fp32", {}, "cpu"]
    inputs = torch.randn(2, 5, Backbone(*make).hidden_size)
    plain = Backbone(*make)(inputs)
    backbone = Backbone(*make, hidden_dropout=0.5)
    assert torch.equal(backbone.eval()(inputs), plain)
    backbone.train().use_stage("tokenizer")
    assert torch.equal(backbone(inputs), plain)
    backbone.use_stage("recommender")
    assert not torch.equal(backbone(inputs), plain)


def test_an_llm_without_a_list_of_layers_is_refused_where_they_are_needed(tiny_llm, monkeypatch):
    make = [str(tiny_llm), None, "full", "fp32", {}, "cpu"]
    plain = Backbone(*make)
    inputs, at = torch.randn(2, 5, plain.hidden_size), torch.tensor([4, 1])
    monkeypatch.setattr(Backbone, "_layers", lambda backbone: None)
    with pytest.raises(BackboneError, match="`dropout`: set it to 0"):
        Backbone(*make, hidden_dropout=0.5)
    torch.testing.assert_close(Backbone(*make)(inputs, only_at=at), plain(inputs, only_at=at))


@pytest.mark.parametrize("tuning", ["full", "lora"])
def test_one_state_a_row_is_what_all_would_be_and_costs_less(tiny_llm, tuning):
    lora = {"rank": 2, "target_modules": None}
    backbone = Backbone(str(tiny_llm), None, tuning, "fp32", lora, "cpu").eval()
    inputs, at = torch.randn(3, 6, backbone.hidden_size), torch.tensor([5, 0, 2])
    more = torch.randn(3, 2, backbone.hidden_size)
    read = []
    backbone.llm.base_model.layers[-1].mlp.register_forward_hook(
        lambda mlp, inputs, output: read.append(inputs[0].size(1))
    )
    caches = backbone.new_cache(), backbone.new_cache()
    every = backbone(inputs, cache=caches[0])
    one = backbone(inputs, cache=caches[1], only_at=at)
    torch.testing.assert_close(one.squeeze(1), every[torch.arange(3), at], rtol=1e-5, atol=1e-5)
    behind = [backbone(more, cache=cache) for cache in caches]  # all positions are attended to
    torch.testing.assert_close(*behind, rtol=1e-5, atol=1e-5)
    assert read == [6, 1, 2, 2]


def test_fetching_the_default_llm_moves_no_seed(tiny_llm, tmp_path, monkeypatch):
    """Else the first run on a machine would differ from all later ones with its seed."""

    def opener(auto):
        read = auto.from_pretrained

        def from_pretrained(source, gguf_file=None, **options):
            found = read(tiny_llm if gguf_file else source, **options)
            if gguf_file and hasattr(found, "config"):
                found.config.quantization_config = {"of": "GGUF"}
            return found

        return from_pretrained

    for auto in (loading.AutoModelForCausalLM, loading.AutoTokenizer):
        monkeypatch.setattr(auto, "from_pretrained", opener(auto))
    before = torch.random.get_rng_state()
    loading.convert_gguf(tmp_path / "a.gguf", tmp_path / "plain")
    assert torch.equal(torch.random.get_rng_state(), before)
    found, expected = (
        loading.AutoModelForCausalLM.from_pretrained(folder).state_dict()
        for folder in (tmp_path / "plain", tiny_llm)
    )
    assert all(torch.equal(found[name], weight) for name, weight in expected.items())
