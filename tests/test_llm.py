"""The backbone's precision: what training may round, evaluation does not."""

from __future__ import annotations

import pytest
import torch

from recbole_store.llm import Backbone, use_bf16


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
    assert dtypes(backbone) == expected


@pytest.mark.parametrize(("amx", "avx512"), [(True, False), (False, True), (False, False)])
def test_auto_takes_bf16_where_the_cpu_multiplies_it(monkeypatch, amx, avx512):
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: avx512)
    assert use_bf16("auto", torch.device("cpu")) == (amx or avx512)
    assert use_bf16("bf16", torch.device("cpu"))
    assert not use_bf16("fp32", torch.device("cpu"))
