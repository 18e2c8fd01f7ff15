"""Real processes that torchrun starts, against one: the same trajectory, the same metrics."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from recbole.quick_start import run_recbole
from two_processes import rows_of_each, torchrun

from recbole_store import cli
from recbole_store.errors import SettingsError
from recbole_store.experiments.run import run
from recbole_store.experiments.run.continuation import Continuation
from recbole_store.model import store
from recbole_store.processes import ranks
from recbole_store.tokenizer import item_tokenizer
from recbole_store.tokenizer.sampled_softmax import ItemSampler

# The tower's dropout is no setting.
WITHOUT_DROPOUT = """
from recbole_store.tokenizer import item_tokenizer, sampled_softmax
item_tokenizer.TOWER_DROPOUT = 0.0
sampled_softmax.ItemSampler.__init__.__defaults__ = (24,)  # items drawn a batch
"""


# Whatever there is room for; both end in the second epoch of stage 2.
SHARED_AND_STOPPED = """
from recbole_store.plugin import trainer
from recbole_store.processes import ranks, shared_states

def share(optimizer, model, device):
    shared_states.share_states(optimizer)
    n_steps = 0

    def stop(*_):
        nonlocal n_steps
        n_steps += 1
        if n_steps == 20 and len(optimizer.param_groups) > 1:
            n_weights = sum(len(group["params"]) for group in optimizer.param_groups)
            # In one write: two processes share the file.
            os.write(1, f"states {n_weights} {len(optimizer.state)}\\n".encode())
            ranks.gather(None)
            os._exit(1)
    optimizer.register_step_pre_hook(stop)

trainer.share_states_if_too_large = share
"""
DENSE = ("SASRecAll", "TextTower", "Neighbours")  # score every item
RANKED_BY = {
    True: """
from recbole_store.plugin.plugin_trainer import Trainer
counted(Trainer, "_full_sort_batch_eval", lambda batch: len(batch[0]))
""",
    False: """
from recbole_store.model.semantic_id_model import SemanticIdModel
counted(SemanticIdModel, "_search_batch", lambda batch, *_: len(batch))
""",
}


def begin(words: list[str], folder: Path, cache: str, first: str = ""):
    return torchrun(words, folder, cache, WITHOUT_DROPOUT + first)


@pytest.fixture(scope="module")
def few(planted, tmp_path_factory) -> Path:
    """A data_path with the planted data of 60 users."""
    data_path = tmp_path_factory.mktemp("few")
    folder = data_path / "planted"
    folder.mkdir()
    (folder / "planted.item").write_text((planted / "planted" / "planted.item").read_text())
    header, *rows = (planted / "planted" / "planted.inter").read_text().splitlines()
    kept = [row for row in rows if int(row.split("\t")[0][1:]) < 70]
    (folder / "planted.inter").write_text("\n".join([header, *kept]) + "\n")
    return data_path


def words_of(data_path: Path, llm: Path, run_dir: str, **changes) -> list[str]:
    """A run with all there is but dropout; of its last batches the second process has nothing."""
    common = {
        **{"model": "STORE", "dataset": "planted", "data_path": data_path, "run_dir": run_dir},
        **{"load_col": "{inter: [user_id, item_id, timestamp]}", "gpu_id": "''"},
        **{"topk": [1, 5, 10], "MAX_ITEM_LIST_LENGTH": 6, "train_batch_size": 8, "epochs": 2},
        "stopping_step": 9,
    }
    texts = {"item_text": "{colour: '{}', shape: '{}'}"}
    codes = {**texts, "codebook_size": 16, "num_beams": 10}
    of_model = {
        "STORE": {
            **{**codes, "backbone": llm, "backbone_layers": 1, "precision": "fp32", "dropout": 0.0},
            **{"pca_dim": 16, "tokenizer_epochs": 3, "tokenizer_batch_size": 59},
            **{"align_weight": 0.2, "item_dropout": 0.2},
        },
        "TIGER": {
            **{**codes, "tokenizer": "random", "d_model": 32, "d_ff": 64, "d_kv": 8},
            **{"num_heads": 4, "num_layers": 2, "num_decoder_layers": 2, "dropout_rate": 0.0},
            "precision": "fp32",
        },
        "SASRecAll": {
            **{"hidden_size": 16, "inner_size": 16, "n_layers": 1, "item_dropout": 0.2},
            **{"hidden_dropout_prob": 0.0, "attn_dropout_prob": 0.0},
        },
        "TextTower": {**texts, "backbone": llm, "dropout_prob": 0.0},
        "Neighbours": texts,
        "BPR": {},
    }
    settings = common | of_model[changes.get("model", "STORE")] | changes
    return [*(f"--{key}={value}" for key, value in settings.items()), "--no_table"]


def one_process(words: list[str], folder: Path, monkeypatch, cache: str = "cache_of_one") -> dict:
    monkeypatch.chdir(folder)
    monkeypatch.setenv("RECBOLE_STORE_CACHE", str(folder / cache))
    for module in (item_tokenizer, store):
        monkeypatch.setattr(module, "TOWER_DROPOUT", 0.0)
    monkeypatch.setattr(ItemSampler.__init__, "__defaults__", (24,))
    assert cli.main(words) == 0
    return result_of(folder, "one")


def result_of(folder: Path, run_dir: str) -> dict:
    return json.loads((folder / run_dir / "result.json").read_text())


def losses_of(result: dict) -> list[float]:
    return [loss for epoch in result["curve"] for loss in epoch["losses"]]


def pids_of(run_dir: str) -> list[int]:
    """Processes whose command line names a run's folder, the launcher's left out."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except OSError:  # it has ended
            continue
        if any(run_dir.encode() in w for w in words) and b"torch.distributed.run" not in words:
            found.append(int(path.parent.name))
    return sorted(found)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"full_softmax_limit": 20, "tokenizer": "tower", "text_head_weight": 1.0},
        *(
            pytest.param(changes, marks=pytest.mark.slow)
            for changes in (
                {"tokenizer": "tower", "micro_batch_size": 2, "text_head_weight": 1.0},
                {"tokenizer": "rqvae", "tuning": "full"},
                {"model": "TIGER"},
                {"model": "SASRecAll"},
                {"model": "TextTower"},
            )
        ),
    ],
    ids=lambda changes: "-".join(map(str, changes.values())) or "STORE",
)
def test_two_processes_train_as_one(changes, few, tiny_llm, tmp_path, monkeypatch):
    two = begin(words_of(few, tiny_llm, "two", **changes), tmp_path, "cache_of_two")
    status = two.wait(300)
    said = (tmp_path / "said.txt").read_text()
    assert status == 0, said
    one = one_process(words_of(few, tiny_llm, "one", **changes), tmp_path, monkeypatch)
    both = result_of(tmp_path, "two")
    assert both["hardware"]["world_size"] == 2 and one["hardware"]["world_size"] == 1
    # TextTower multiplies in bf16 where the hardware has it, and has no key for it.
    near = 2e-3 if changes.get("model") == "TextTower" else 1e-5
    assert losses_of(both) == pytest.approx(losses_of(one), rel=near)
    assert both["protocol_hash"] == one["protocol_hash"]
    if changes.get("model", "STORE") in ("STORE", "TIGER"):
        tables = [(tmp_path / run / "semantic_ids.tsv").read_text() for run in ("one", "two")]
        assert tables[0] == tables[1]
    # The first process alone has spoken and written.
    assert said.count("world_size 2") == 1 and said.count("epoch   1   loss") == 1
    assert len(list((tmp_path / "two" / "tensorboard").glob("events.*"))) == 1
    assert not (tmp_path / "log_tensorboard").exists()
    assert not (tmp_path / "two" / "state").exists()
    assert (tmp_path / "two" / "ranked.npz").is_file()


@pytest.mark.parametrize(
    "model",
    ["STORE", "SASRecAll", *(pytest.param(m, marks=pytest.mark.slow) for m in DENSE[1:])],
)
def test_two_processes_go_on_and_rank_to_the_digit(model, few, tiny_llm, tmp_path, monkeypatch):
    """What one process has trained is tested by two, and by one."""
    batches = {"eval_batch_size": 8} if model in DENSE else {}

    def stop(*_, **__):
        raise KeyboardInterrupt

    words = words_of(few, tiny_llm, "one", model=model, epochs=1, **batches)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RECBOLE_STORE_CACHE", str(tmp_path / "cache"))
    with monkeypatch.context() as patch:
        patch.setattr(run, "test_model", stop)
        assert cli.main(words) == 130
    shutil.copytree("one", "two")
    assert cli.main(["--resume=one", "--no_table"]) == 0
    two = begin(["--resume=two", "--no_table"], tmp_path, "cache", RANKED_BY[model in DENSE])
    status = two.wait(300)
    said = (tmp_path / "said.txt").read_text()
    assert status == 0 and said.count("Going on from the test.") == 1, said
    one, both = result_of(tmp_path, "one"), result_of(tmp_path, "two")
    assert both["hardware"]["world_size"] == 2
    n_ranked = rows_of_each(tmp_path)
    assert sum(n_ranked) == 2 * one["protocol"]["n_test"]  # with and without seen items
    assert model == "STORE" or min(n_ranked) > sum(n_ranked) / 3  # whose groups are larger
    for part in ("test", "tests", "valid", "certain_topk"):
        assert both[part] == one[part], part
    with np.load("one/ranked.npz") as of_one, np.load("two/ranked.npz") as of_two:
        assert set(of_one) == set(of_two)
        for name in of_one:
            assert (of_one[name] == of_two[name]).all(), name


def test_two_processes_share_an_optimizer_s_states(few, tiny_llm, tmp_path, monkeypatch):
    """As on GPUs without room for all of them; what is kept is usual, and one process goes on."""
    two = begin(words_of(few, tiny_llm, "two"), tmp_path, "cache_of_two", SHARED_AND_STOPPED)
    two.wait(300)
    said = (tmp_path / "said.txt").read_text()
    n_kept = [line.split() for line in said.splitlines() if line.startswith("states ")]
    n_all = {int(n) for _, n, _ in n_kept}
    assert len(n_kept) == 2 and sum(int(n) for *_, n in n_kept) == n_all.pop() and not n_all, said
    assert not (tmp_path / "two" / "result.json").exists()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RECBOLE_STORE_CACHE", str(tmp_path / "cache_of_two"))
    assert cli.main(["--resume=two", "--no_table"]) == 0
    assert "Going on from epoch 1." in (tmp_path / "two" / "two.log").read_text()
    one = one_process(words_of(few, tiny_llm, "one"), tmp_path, monkeypatch)
    assert losses_of(result_of(tmp_path, "two")) == pytest.approx(losses_of(one), rel=1e-5)


@pytest.mark.slow
def test_two_machines_train_as_one(few, tiny_llm, tmp_path, monkeypatch):
    """Two starts of torchrun, which find each other by an address and a port, as on two machines.

    Both see the run's folder.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = words_of(few, tiny_llm, "two", epochs=1)
    machines = []
    for rank in (0, 1):
        where = ["--nnodes=2", "--nproc_per_node=1", f"--node_rank={rank}"]
        where += ["--master_addr=127.0.0.1", f"--master_port={port}"]
        machines.append(torchrun(words, tmp_path, "cache_of_two", WITHOUT_DROPOUT, where))
    statuses = [machine.wait(400) for machine in machines]
    said = (tmp_path / "said.txt").read_text()
    assert statuses == [0, 0], said
    assert said.count("world_size 2") == 1 and said.count("epoch   0   loss") == 1
    one = one_process(words_of(few, tiny_llm, "one", epochs=1), tmp_path, monkeypatch)
    both = result_of(tmp_path, "two")
    assert both["hardware"]["world_size"] == 2
    assert losses_of(both) == pytest.approx(losses_of(one), rel=1e-5)


@pytest.mark.slow
def test_a_dead_process_ends_the_run_with_a_sentence(few, tiny_llm, tmp_path, monkeypatch):
    words = words_of(few, tiny_llm, str(tmp_path / "killed"), epochs=500, checkpoint_minutes=0)
    two = begin(words, tmp_path, "cache")
    log = tmp_path / "killed" / "killed.log"
    while not (log.is_file() and "epoch   2 " in log.read_text()):
        assert two.poll() is None, (tmp_path / "said.txt").read_text()
        time.sleep(0.2)
    os.kill(pids_of(f"--run_dir={tmp_path}/killed")[-1], signal.SIGKILL)
    killed = time.monotonic()
    assert two.wait(60) == 1 and time.monotonic() - killed < 30
    said = (tmp_path / "said.txt").read_text()
    assert said.count("error: Another process of this run has ended") == 1, said
    assert "recbole_store/" not in said  # no traceback of ours
    # One process goes on with what two have begun.
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RECBOLE_STORE_CACHE", str(tmp_path / "cache"))
    stopped = Continuation._train

    def stop_soon(self, train_data, epoch_idx, *args, **kwargs):
        self.trainer.epochs = epoch_idx + 1
        self.trainer.stopping_step = -1
        return stopped(self, train_data, epoch_idx, *args, **kwargs)

    monkeypatch.setattr(Continuation, "_train", stop_soon)
    assert cli.main(["--resume=killed", "--no_table"]) == 0
    assert "Going on from epoch" in log.read_text()
    assert result_of(tmp_path, "killed")["hardware"]["world_size"] == 1


@pytest.mark.slow
def test_what_one_process_alone_can_do_is_refused_once(few, tiny_llm, tmp_path):
    two = begin(words_of(few, tiny_llm, "two", model="BPR"), tmp_path, "cache")
    assert two.wait(60) == 1
    said = (tmp_path / "said.txt").read_text()
    assert said.count("error: ") == 1 and "BPR is RecBole's own, whose loss cannot" in said
    assert not (tmp_path / "two").exists()


def test_one_process_shares_with_nobody():
    weight = torch.nn.Parameter(torch.ones(2))
    weight.grad = torch.ones(2)
    ranks.sum_gradients([weight])
    assert weight.grad.tolist() == [1, 1] and ranks.mine([5, 6, 7]) == [5, 6, 7]
    assert ranks.from_first(lambda: 3) == 3 and ranks.gather(3) == [3]
    assert ranks.all_rows(weight, 2) is weight and ranks.is_first()


def test_torchrun_without_the_command_line_is_refused(tiny_settings, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(SettingsError, match="each would train the whole model"):
        run_recbole(model="STORE", dataset="planted", config_dict=tiny_settings)
