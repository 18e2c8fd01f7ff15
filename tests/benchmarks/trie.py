"""The trie of ten thousand to ten million items: build time, memory, one constrained step."""

from __future__ import annotations

import torch
from machine import alternate, figures_to_file

from recbole_store.generator.beam_search import beam_search
from recbole_store.generator.code_trie import CodeTrie

N_LEVELS, CODEBOOK = 4, 256
N_USERS, NUM_BEAMS = 64, 50
EXPONENTS = (4, 5, 6, 7)


def catalogue(n_items: int) -> torch.Tensor:
    """Distinct random semantic IDs."""
    generator = torch.Generator().manual_seed(0)
    n_codes = CODEBOOK**N_LEVELS
    ids = torch.randint(n_codes, (int(1.01 * n_items) + 10,), generator=generator).unique()
    ids = ids[torch.randperm(len(ids), generator=generator)[:n_items]]
    shifts = CODEBOOK ** torch.arange(N_LEVELS - 1, -1, -1)
    return ids[:, None] // shifts % CODEBOOK


def measure() -> dict[str, float]:
    figures, tries = {}, {}
    for exponent in EXPONENTS:
        codes = catalogue(10**exponent)
        item_ids = torch.arange(1, len(codes) + 1)
        (build_s,) = alternate(lambda c=codes, i=item_ids: CodeTrie(c, i), rounds=1)
        trie = tries[exponent] = CodeTrie(codes, item_ids)
        figures[f"trie_build_s_1e{exponent}"] = build_s
        figures[f"trie_bytes_per_item_1e{exponent}"] = trie.n_bytes / len(trie)

    # Logits made beforehand: what is timed is the constraint, not the model.
    generator = torch.Generator().manual_seed(1)
    logits = torch.randn(N_LEVELS, N_USERS, NUM_BEAMS, CODEBOOK, generator=generator)

    def step(level, parents, codes):
        return logits[level, :, : 1 if level == 0 else codes.size(1)]

    def ten_searches(trie):
        for _ in range(10):
            beam_search(step, trie, NUM_BEAMS)

    # In turn, so that the machine's moods meet all sizes alike.
    seconds = alternate(*(lambda t=t: ten_searches(t) for t in tries.values()), rounds=15)
    for exponent, total in zip(tries, seconds, strict=True):
        figures[f"trie_step_ms_1e{exponent}"] = 1000 * total / 10 / N_LEVELS
    most, least = EXPONENTS[-1], EXPONENTS[0]
    figures[f"trie_step_ratio_1e{most}_vs_1e{least}"] = seconds[-1] / seconds[0]
    figures["trie_bytes_per_item"] = figures[f"trie_bytes_per_item_1e{most}"]
    return figures


if __name__ == "__main__":
    figures_to_file(measure)
