"""The default model over ten thousand to ten million items: a training step, ranking, memory.

Items are synthetic: codes, points and weights drawn at random, each size in a process of its own
and on one thread, whose own time is counted: sizes follow each other, and a neighbour on the
machine must not meet one of them alone. The model is the same at every size but for what there is
an item of, and two things are not the defaults': 512 codes a level, and points of 32 numbers, which
as the default's 128 would take 5 GB for ten million items.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

import torch
from machine import figures_to_file
from recbole.data.interaction import Interaction

from recbole_store.experiments.run.machine import keep_freed_memory, peak_memory_gb
from recbole_store.model.store import STORE
from recbole_store.recommender.stand_ins import StandInConfig
from recbole_store.settings.defaults import recbole_defaults, shipped_defaults
from recbole_store.tokenizer.token_texts import TokenTexts

EXPONENTS = (4, 5, 6, 7)
SETTINGS = {"codebook_size": 512, "pca_dim": 16}
N_WINDOWS, N_TEXTS = 1000, 1000  # of an epoch: with 8 windows a step reads 8 texts
WARM_UP, STEPS = 3, 9
USERS, ROUNDS, TOP = 64, 3, 20
TITLE = "Moisturizing hand cream with shea butter and lavender, tube of 75 ml, number {}"


class SyntheticData:
    """What STORE reads of RecBole's training split, of so many items and no list of them."""

    window_rows = torch.zeros(0)

    def __init__(self, config, n_items: int, n_levels: int):
        self.n_rows = n_items + 1
        texts = [[TITLE.format(item)] for item in range(1, N_TEXTS + 1)]
        self.item_texts = [[], *texts, *[[]] * (n_items - N_TEXTS)]
        self.cold_items = torch.zeros(0, dtype=torch.long)
        self.semantic_ids = torch.zeros(self.n_rows, n_levels, dtype=torch.long)
        self.iid_field = config["ITEM_ID_FIELD"]
        self.n_targets = N_WINDOWS * config["MAX_ITEM_LIST_LENGTH"]
        self.inter_feat = {self.iid_field: popular(n_items, (self.n_targets,))}

    def num(self, field: str) -> int:
        return self.n_rows

    def __len__(self) -> int:
        return N_WINDOWS


def popular(n_items: int, shape: tuple[int, ...]) -> torch.Tensor:
    """item_ids, int64, drawn as often as the inverse of their rank."""
    return (n_items ** torch.rand(shape, dtype=torch.float64)).long().clamp(1, n_items)


def make_model(n_items: int, settings: dict) -> tuple[STORE, StandInConfig]:
    config = StandInConfig(settings, device=torch.device("cpu"))
    torch.manual_seed(0)
    n_levels = settings["n_slots"] + 1
    model = STORE(config, SyntheticData(config, n_items, n_levels))
    tokenizer = model.item_tokenizer
    tokenizer.points.normal_()
    # Only what has a text is tokenized, so that the auxiliary task is the same at every size.
    words = model.backbone.tokenize(tokenizer.texts[: N_TEXTS + 1], settings["max_text_tokens"])
    tokenizer._token_texts = TokenTexts(words, list(range(1, N_TEXTS + 1)))
    model.set_semantic_ids(distinct_ids(n_items, tokenizer.sizes))
    return model, config


def distinct_ids(n_items: int, sizes: list[int]) -> torch.Tensor:
    """Random codes of which no two items have the same, int64 [n_items, L]."""
    numbers = torch.randperm(torch.tensor(sizes).prod().item(), dtype=torch.int32)[:n_items]
    columns = []
    for size in reversed(sizes):
        columns.append((numbers % size).long())
        numbers = numbers // size
    return torch.stack(columns[::-1], 1)


def batch(model: STORE, n_rows: int) -> Interaction:
    length = model.max_seq_length
    items = popular(model.n_items - 1, (n_rows, length + 1))
    return Interaction(
        {
            model.USER_ID: torch.arange(n_rows),
            model.ITEM_SEQ: items[:, :-1],
            model.ITEM_SEQ_LEN: torch.full((n_rows,), length),
            model.ITEM_ID: items[:, -1],
        }
    )


def train(model: STORE, config: StandInConfig) -> list[float]:
    """Seconds of each step, as RecBole's epoch takes it."""
    optimizer = torch.optim.AdamW(model.parameter_groups(), weight_decay=config["weight_decay"])
    model.train()
    times = []
    for _ in range(WARM_UP + STEPS):
        windows = batch(model, config["train_batch_size"])
        started = time.process_time()
        optimizer.zero_grad()
        sum(model.calculate_loss(windows)).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), **config["clip_grad_norm"])
        optimizer.step()
        times.append(time.process_time() - started)
    return times[WARM_UP:]


@torch.no_grad()
def rank(model: STORE) -> dict[str, float]:
    """Milliseconds a user, histories left out; and what the short list finds of the exact best."""
    model.eval()
    users = batch(model, USERS)
    items = users[model.ITEM_SEQ]
    pairs = torch.arange(USERS)[:, None] * model.n_items + items
    pairs = pairs.unique()  # each once, ascending
    hidden = (pairs // model.n_items, pairs % model.n_items)
    started = time.process_time()
    model.recommend(users, hidden)  # makes what is kept for all users
    first_s, times = time.process_time() - started, []
    for _ in range(ROUNDS):
        started = time.process_time()
        model.recommend(users, hidden)
        times.append(time.process_time() - started)
    figures = {"rank_ms": 1000 * min(times) / USERS, "rank_first_s": first_s - min(times)}
    figures["peak_gb"] = peak_memory_gb()
    if not model.draws_items:
        return figures
    scores = model._score_items(model.decoder(users))
    started = time.process_time()
    _, found = scores.best(TOP, hidden)
    figures["list_ms"] = 1000 * (time.process_time() - started) / USERS
    exact = exact_best(scores, model.n_items, hidden)
    figures["recall"] = (found[:, :, None] == exact[:, None]).any(1).float().mean().item()
    return figures


def exact_best(scores, n_items: int, hidden) -> torch.Tensor:
    """item_ids [B, TOP] of the largest scores in fp32, each item looked at."""
    best = torch.full((USERS, TOP), -torch.inf)
    items = torch.zeros(USERS, TOP, dtype=torch.long)
    for part in torch.arange(1, n_items).split(2**15):
        block = scores.queries @ scores.rows_of(part).T
        in_part = (hidden[1] >= part[0]) & (hidden[1] <= part[-1])
        block[hidden[0][in_part], hidden[1][in_part] - part[0]] = -torch.inf
        value, place = block.topk(TOP)
        best, order = torch.cat([best, value], 1).topk(TOP)
        items = torch.cat([items, part[place]], 1).gather(1, order)
    return items


def cost(exponent: int, changes: dict) -> dict[str, float]:
    torch.set_num_threads(1)
    keep_freed_memory()
    settings = recbole_defaults("STORE", "") | shipped_defaults("STORE") | SETTINGS | changes
    model, config = make_model(10**exponent, settings)
    figures = {"step_ms": 1000 * statistics.median(train(model, config))}
    figures["trained_gb"] = peak_memory_gb()
    return figures | rank(model)


def evaluation() -> dict[str, float]:
    """Evaluating RecBole's own way against a million items, by the heads and the codes."""
    script = Path(__file__).with_name("catalogue.py")
    found = run([str(script), "cost", "heads"])
    return {"large_eval_peak_gb_1e6": found["peak_gb"]}


def run(words: list[str]) -> dict[str, float]:
    done = subprocess.run([sys.executable, *words], check=True, stdout=subprocess.PIPE)
    return json.loads(done.stdout.splitlines()[-1])


def measure() -> dict[str, float]:
    figures = {}
    for exponent in EXPONENTS:
        found = run([__file__, "cost", str(exponent)])
        figures |= {f"large_{name}_1e{exponent}": value for name, value in found.items()}
        print(exponent, found, flush=True)
    least, most = EXPONENTS[0], EXPONENTS[-1]
    ratio = figures[f"large_step_ms_1e{most}"] / figures[f"large_step_ms_1e{least}"]
    figures[f"large_step_ratio_1e{most}_vs_1e{least}"] = ratio
    return figures | evaluation()


if __name__ == "__main__":
    if sys.argv[1] == "cost":
        exponent = int(sys.argv[2])
        sys.argv = sys.argv[:1]
        print(json.dumps(cost(exponent, {})))
    else:
        figures_to_file(measure)
