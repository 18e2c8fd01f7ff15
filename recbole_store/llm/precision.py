"""Whether to run in bfloat16."""

from __future__ import annotations

import torch


def use_bf16(precision: str, device: torch.device) -> bool:
    """Whether to run in bfloat16; ``auto`` takes it where the hardware multiplies it natively."""
    if precision != "auto":
        return precision == "bf16"
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported()
