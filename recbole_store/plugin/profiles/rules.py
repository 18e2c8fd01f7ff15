"""Settings of STORE for data and a machine, each with its reason.

The rules rest on what was measured: whole data sets and trials in ``results/``, and samples of four
data sets, ``results/profiles.json``. A GPU changes no setting but the windows at a time: the whole
LLM, ``--profile=full``, was not measured.
"""

from __future__ import annotations

import math

from recbole_store.plugin.profiles.facts import DataFacts, MachineFacts
from recbole_store.settings.defaults import shipped_defaults
from recbole_store.settings.profile import Choice
from recbole_store.settings.property_files import read_properties, variant_file
from recbole_store.tokenizer.whitening import FEW_ITEMS

# Beauty has 9 interactions a user, Steam-100K 12, ml-100k 106: long ones begin in between.
LONG_HISTORIES = 35
MANY_ITEMS = 5_000  # STORE:text's code sizes are Beauty's, of 12,101 items; ml-100k has 1,682
# Likeness is by the LLM's states there; of the weights tried on three shops of 337 to 932 items, by
# the parts of trained models' scores for all users of validation with a gap, these fit all three.
OF_FEW_ITEMS = {"likeness_weight": 10.0, "together_weight": 20.0}
FEWEST_MEASURED = 150  # steps of stage 1 with which STORE learns on ml-100k
ENOUGH_STEPS = 500  # of stage 1, where its epochs would give fewer than were measured
ENOUGH_STEPS_2 = 1_000  # of stage 2: STORE:text has 1,232 on Beauty
MOST_EPOCHS = 60  # of either stage
BATCHES = (128, 64, 32, 16, 8)
# Of STORE:text: on 1% of Beauty longer stages were worse (docs/profiles.md). It keeps its epochs as
# well: twice as many gave .0066 more of NDCG@10 on one shop and .0071 less on another.
LEAST_BATCH = 32
FEW_USERS = 500  # a standard error of NDCG@10 is .01 of so many
N_EVALUATIONS = 8  # of a training, where they are cheap
MANY_USERS = 10_000  # an evaluation of Beauty's takes as long as an epoch
# Bytes of a softmax over all items at every position, for the batch and its gradients: what
# STORE:text had at its peak on Beauty, for a window and an item.
BYTES_A_WINDOW_AND_ITEM = 6_400


def choose(data: DataFacts, machine: MachineFacts) -> list[Choice]:
    """What differs from STORE's defaults, in groups; later ones win."""
    choices = [*_kind(data)]
    now = _now(choices)
    rules = (_disambiguation, _stage_1, _stage_2, _warm_up, _texts, _evaluations, _memory)
    for rule in rules:
        if chosen := rule(data, machine, now):
            choices.append(chosen)
            now.update(chosen.settings)
    return choices


def _now(choices: list[Choice]) -> dict:
    found = shipped_defaults("STORE")
    for choice in choices:
        found.update(choice.settings)
    return found


def _kind(data: DataFacts) -> list[Choice]:
    """What carries a recommendation: long histories, texts, or identifiers."""
    if data.per_user >= LONG_HISTORIES:
        return []
    variant = "text" if data.with_text >= 0.5 else "short_histories"
    settings = read_properties(variant_file("STORE", variant))
    reason = f"histories are short ({data.per_user:.1f} a user)"
    if variant == "short_histories":
        reason += f" and {1 - data.with_text:.0%} of items have no text"
    found = [Choice(settings, f"{reason}: the settings of STORE:{variant}, as on Beauty")]
    if variant == "text" and data.n_items < MANY_ITEMS:
        sizes = {"n_slots": 2, "codebook_size": None}
        found.append(Choice(sizes, f"{data.n_items:,} items need fewer codes, by their number"))
    if variant == "text" and data.n_items < FEW_ITEMS:
        found.append(Choice(OF_FEW_ITEMS, "of so few, likeness counts more and company less"))
    return found


def _disambiguation(data: DataFacts, machine: MachineFacts, now: dict) -> Choice | None:
    if data.same_text <= now["disambiguation_size"] / 2:
        return None
    size = 2 ** math.ceil(math.log2(2 * data.same_text))
    return Choice(
        {"disambiguation_size": size}, f"{data.same_text:,} items have one and the same text"
    )


def _steps(n_rows: int, batch: int, epochs: int) -> int:
    return -(-n_rows // batch) * epochs


def _long_enough(n_rows: int, batches: list[int], epochs: int, enough: int) -> tuple[int, int]:
    """Batch and epochs for so many steps: smaller batches first, then more epochs.

    Example: 1,000 rows, batches 128 to 8, 8 epochs, 1,000 steps -> (8, 8); 300 rows -> (8, 27)
    """
    for batch in batches:
        if _steps(n_rows, batch, epochs) >= enough:
            return batch, epochs
    batch = batches[-1]
    needed = math.ceil(enough / max(-(-n_rows // batch), 1))
    return batch, max(epochs, min(needed, MOST_EPOCHS))


def _rows_1(data: DataFacts, now: dict) -> int:
    """Rows of an epoch of stage 1: a tower learns from histories, slots from items."""
    return data.n_windows if now["tokenizer"] == "tower" else data.n_items


def _stage_1(data: DataFacts, machine: MachineFacts, now: dict) -> Choice | None:
    """Steps enough for slots. A tower starts from the LLM's states, and few histories spoil it."""
    if now["tokenizer"] == "tower":
        return None
    rows = data.n_items
    batch, epochs = now["tokenizer_batch_size"], now["tokenizer_epochs"]
    steps = _steps(rows, batch, epochs)
    if steps >= FEWEST_MEASURED:
        return None
    smaller = [b for b in BATCHES if 16 <= b <= batch] or [batch]
    batch, epochs = _long_enough(rows, smaller, epochs, ENOUGH_STEPS)
    settings = {"tokenizer_batch_size": batch, "tokenizer_epochs": epochs}
    settings = {key: value for key, value in settings.items() if value != now[key]}
    now_steps = _steps(rows, batch, epochs)
    return Choice(settings, f"stage 1 would have {steps} steps; so it has {now_steps}")


def _stage_2(data: DataFacts, machine: MachineFacts, now: dict) -> Choice | None:
    """Smaller batches, and more epochs where nothing but training finds what comes next."""
    batch, epochs = now["train_batch_size"], now["epochs"]
    steps = _steps(data.n_windows, batch, epochs)
    if steps >= ENOUGH_STEPS_2:
        return None
    smaller = [b for b in BATCHES if b <= batch] or [batch]
    if now["text_head_weight"]:
        smaller = [b for b in smaller if b >= LEAST_BATCH] or [batch]
        fitting = [b for b in smaller if _steps(data.n_windows, b, epochs) >= ENOUGH_STEPS_2]
        batch = (fitting or smaller[-1:])[0]
    else:
        batch, epochs = _long_enough(data.n_windows, smaller, epochs, ENOUGH_STEPS_2)
    settings = {"train_batch_size": batch, "epochs": epochs}
    settings = {key: value for key, value in settings.items() if value != now[key]}
    if not settings:
        return None
    now_steps = _steps(data.n_windows, batch, epochs)
    return Choice(settings, f"stage 2 would have {steps} steps; so it has up to {now_steps}")


def _warm_up(data: DataFacts, machine: MachineFacts, now: dict) -> Choice | None:
    """At most a fifth of the shorter stage, where that is shorter than any that was measured."""
    of_1 = _steps(_rows_1(data, now), now["tokenizer_batch_size"], now["tokenizer_epochs"])
    shorter = min(of_1, _steps(data.n_windows, now["train_batch_size"], now["epochs"]))
    warm_up = max(shorter // 5, 1)
    if shorter >= FEWEST_MEASURED or warm_up >= now["warmup_steps"]:
        return None
    return Choice({"warmup_steps": warm_up}, f"the shorter stage has {shorter} steps")


def _texts(data: DataFacts, machine: MachineFacts, now: dict) -> Choice | None:
    """More epochs than were measured read a smaller share of the texts each."""
    measured = _kind(data)[0].settings if _kind(data) else shipped_defaults("STORE")
    share, epochs = measured.get("text_task_share") or 1.0, measured["epochs"]
    if now["epochs"] <= epochs:
        return None
    share = round(share * epochs / now["epochs"], 3)
    return Choice(
        {"text_task_share": share},
        "more epochs read no more texts: they would take most of the time",
    )


def _evaluations(data: DataFacts, machine: MachineFacts, now: dict) -> Choice | None:
    """As often as they are cheap, so that early stopping can see; of few users it sees nothing."""
    every = now.get("eval_step", 1)
    if data.n_users < FEW_USERS:
        seldom = {"eval_step": max(1, now["epochs"] // N_EVALUATIONS)}
        return Choice(
            {**seldom, "stopping_step": N_EVALUATIONS},
            f"the validation of {data.n_users:,} users is noise: it ends no training",
        )
    if data.n_users >= MANY_USERS or every == 1:
        return None
    step = max(1, now["epochs"] // N_EVALUATIONS)
    if step >= every:
        return None
    return Choice({"eval_step": step}, f"{data.n_users:,} users are soon evaluated")


def _memory(data: DataFacts, machine: MachineFacts, now: dict) -> Choice | None:
    room = machine.gpu_memory_gb if machine.gpu else machine.memory_gb
    a_window = BYTES_A_WINDOW_AND_ITEM * data.n_items
    fitting = int(room / 2 * 2**30 / max(a_window, 1))
    if fitting >= now["train_batch_size"]:
        return None
    size = max(2 ** int(math.log2(max(fitting, 1))), 1)
    return Choice(
        {"micro_batch_size": size},
        f"{now['train_batch_size']} windows at a time would take more than half of the memory",
    )
