"""Bad input of runs, comparisons and trials: one sentence, exit status 2, nothing left behind.

Every case is refused before any training, and in this process, so that all take a minute.
"""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from types import SimpleNamespace

import pytest

import run_recbole_store
from recbole_store.experiments import trials, tune
from recbole_store.experiments.comparison import runner
from recbole_store.experiments.run import run, run_folder

HEADER = "user_id:token\titem_id:token\ttimestamp:float"


def rows(n_users: int = 12, n_rows: int = 7, n_items: int = 9) -> list[str]:
    return [
        f"u{user}\ti{(user + step * step) % n_items}\t{1000 * user + step}"
        for user in range(n_users)
        for step in range(n_rows)
    ]


def without_column(column: int) -> list[str]:
    return ["\t".join(c for n, c in enumerate(row.split("\t")) if n != column) for row in rows()]


# Name -> lines of its .inter.
DATA = {
    "good": [HEADER, *rows()],
    "one_item": [HEADER, *rows(n_items=1)],
    "one_row": [HEADER, *rows(n_rows=1)],
    "two_rows": [HEADER, *rows(n_rows=2)],
    "three_rows": [HEADER, *rows(n_rows=3)],
    "no_times": ["user_id:token\titem_id:token", *without_column(2)],
    "no_items": ["user_id:token\ttimestamp:float", *without_column(1)],
    "no_users": ["item_id:token\ttimestamp:float", *without_column(0)],
    "no_types": ["user_id\titem_id\ttimestamp", *rows()],
    "no_header": rows(),
    "commas": [line.replace("\t", ",") for line in (HEADER, *rows())],
    "float_items": ["user_id:token\titem_id:float\ttimestamp:float", *rows()],
    "float_users": ["user_id:float\titem_id:token\ttimestamp:float", *rows()],
    "token_times": ["user_id:token\titem_id:token\ttimestamp:token", *rows()],
    "missing_time": [HEADER, *rows()[:4], "u0\ti3\t", *rows()[4:]],
    "odd_name": ["user_id:token\titemid:token\ttimestamp:float", *rows()],
    "twice": [f"{HEADER}\titem_id:token", *(f"{row}\ti1" for row in rows())],
    "header_alone": [HEADER],
    "nothing": [],
}


@pytest.fixture(scope="module")
def data_path(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    for name, lines in DATA.items():
        (folder / name).mkdir()
        (folder / name / f"{name}.inter").write_text("\n".join(lines) + "\n")
        items = ["item_id:token\ttitle:token_seq", *(f"i{n}\ttitle {n}" for n in range(9))]
        (folder / name / f"{name}.item").write_text("\n".join(items) + "\n")
    (folder / "no_file").mkdir()
    # Files that RecBole would unpickle, in a folder that is no data set.
    (folder / "cached").mkdir()
    for name in ("good-Dataset.pth", "good-SequentialDataset.pth", "good-STOREDataset.pth"):
        (folder / "cached" / name).write_bytes(pickle.dumps(Bomb()))
    (folder / "cached loaders").mkdir()
    loaders = folder / "cached loaders" / "good-for-Pop-dataloader.pth"
    loaders.write_bytes(pickle.dumps(Bomb()))
    (folder / "a file").write_text("in the way of a folder")
    (folder / "list.yaml").write_text("- 1\n- 2\n")
    (folder / "broken.yaml").write_text("epochs: [1\n")
    (folder / "typo.yaml").write_text("epoch: 1\n")
    (folder / "wrong.yaml").write_text("epochs: many\n")
    (folder / "tag.yaml").write_text("epochs: !!python/object/apply:os.getpid []\n")
    (folder / "latin.yaml").write_bytes(b"# \xe9t\xe9\nepochs: 1\n")
    for name, content in (("half", '{"model": "Pop"'), ("other", '{"model": "Pop"}')):
        (folder / name).mkdir()
        (folder / name / "run.json").write_text(content)
    return folder


class Bomb:
    """Makes a folder where it is unpickled."""

    def __reduce__(self):
        return (os.mkdir, (str(Path("exploded").absolute()),))


# What is typed besides --model=Pop, --dataset=good and --data_path, and what the sentence says.
# DATA stands for the folder above. A word that is typed again replaces the one before.
RUNS = {
    # words
    "unknown model": ("--model=Popp", "`Popp`", "`Pop`"),
    "model in small letters": ("--model=store", "`store`", "`STORE`"),
    "no model": ("--model=,", "--model"),
    "a model twice": ("--model=Pop,Pop", "Pop,Pop"),
    "unknown variant": ("--model=SASRec:tunde", "`SASRec:tunde`", "tuned"),
    "half a variant": ("--model=Pop:", "`Pop:`"),
    "unknown dataset": ("--dataset=god", "`god`", "`good`"),
    "a dataset twice": ("--dataset=good,good", "good,good"),
    "a dataset's path": ("--dataset=../data/good", "../data/good", "--data_path"),
    "the folder above": ("--dataset=..", "`..`", "--data_path"),
    "no seed": ("--seeds=0", "--seeds=0"),
    "seeds that are no number": ("--seeds=two", "--seeds"),
    "unknown key": ("--epoch=1", "`epoch`", "`epochs`"),
    "a key twice": ("--epochs=1 --epochs=2", "--epochs", "twice"),
    "no value": ("--epochs", "--epochs", "VALUE"),
    "a word without dashes": ("epochs=1", "epochs=1"),
    "no key": ("--=1", "--=1"),
    "no YAML": ("--topk=[1,5", "[1,5"),
    "no such profile": ("--profile=ful", "`ful`", "`full`"),
    "no such file": ("--config_files no.yaml", "no.yaml"),
    "a list as a file": ("--config_files DATA/list.yaml", "list.yaml", "key: value"),
    "a broken file": ("--config_files DATA/broken.yaml", "broken.yaml", "line"),
    "a typo in a file": ("--config_files DATA/typo.yaml", "typo.yaml", "`epochs`"),
    "a wrong value in a file": ("--config_files DATA/wrong.yaml", "wrong.yaml", "'many'"),
    "code in a file": ("--config_files DATA/tag.yaml", "tag.yaml"),
    "another encoding": ("--config_files DATA/latin.yaml", "latin.yaml"),
    "no folder beside": ("--beside=nowhere", "nowhere"),
    # values
    "text for a number": ("--epochs=many", "`epochs`", "'many'", "integer"),
    "below the range": ("--epochs=-1", "`epochs`", "-1", "at least 0"),
    "infinite": ("--learning_rate=.inf", "`learning_rate`", "inf"),
    "not a number": ("--learning_rate=.nan", "`learning_rate`", "nan"),
    "a list for a number": ("--seed=[1]", "`seed`", "[1]"),
    "nothing for a number": ("--topk=null", "`topk`", "None"),
    "minutes below 0": ("--checkpoint_minutes=-1", "`checkpoint_minutes`", "-1"),
    "a cut-off of 0": ("--topk=[0]", "`topk`", "0"),
    "no cut-off": ("--topk=[]", "`topk`", "[]"),
    "no metric": ("--metrics=[]", "`valid_metric`"),
    "unknown metric": ("--metrics=[NDCG,Recal]", "Recal", "`Recall`"),
    "a metric that is not computed": ("--valid_metric=NDCG@3", "NDCG@3", "will not be computed"),
    "a metric without cut-off": ("--valid_metric=NDCG", "NDCG", "will not be computed"),
    "a share of 1": ("--cold_items=1", "`cold_items`", "1"),
    "no cold item": ("--cold_items=0.001", "`cold_items`", "raise it"),
    "no hours": ("--max_hours=0", "`max_hours`", "0"),
    "an interval without end": ("--user_inter_num_interval=[2,inf", "`user_inter_num_interval`"),
    "heads that do not divide": (
        "--model=SASRecAll --n_heads=3",
        "`hidden_size` is 128",
        "`n_heads` 3",
    ),
    "wandb without wandb": ("--log_wandb=True", "`log_wandb`", "pip install wandb"),
    "mlflow without mlflow": ("--log_mlflow=True", "`log_mlflow`", "pip install mlflow"),
    "a number beyond all": ("--epochs=99999999999999999999", "`epochs`", "99999999999999999999"),
    "a switch that is null": ("--enable_amp=null", "`enable_amp` is None", "True or False"),
    "no activation": ("--model=SASRec --hidden_act=gelo", "`hidden_act`", "'gelo'", "gelu, relu"),
    "a share of dropout": ("--model=SASRec --attn_dropout_prob=1.5", "1.5", "in [0, 1]"),
    "no layers": ("--model=SASRec --n_layers=0", "`n_layers` is 0", "at least 1"),
    "no loss": ("--model=GRU4Rec --loss_type=MCE", "`loss_type`", "'MCE'", "CE, BPR"),
    "no optimizer": ("--learner=adamm", "`learner`", "'adamm'", "one of adam"),
    "clipping without a norm": ("--clip_grad_norm={norm_type: 2}", "{max_norm: number above 0}"),
    "a norm of 0": ("--clip_grad_norm={max_norm: 0}", "`clip_grad_norm` is {'max_norm': 0}"),
    "negatives by another name": (
        "--model=BPR --train_neg_sample_args={sample: 3}",
        "no key `sample`",
        "`sample_num`",
    ),
    "no negatives": (
        "--model=BPR --train_neg_sample_args={sample_num: 0}",
        "0 for sample_num",
        "at least 1",
    ),
    "pairs without negatives": (
        "--model=BPR --train_neg_sample_args=null",
        "BPR learns from pairs",
        "leave it out",
    ),
    "dynamic negatives": (
        "--model=BPR --train_neg_sample_args={dynamic: True}",
        "`dynamic: True`",
        "`candidate_num`",
    ),
    "a transform of another model": ("--transform=mask_itemseq", "mask_itemseq", "Pop reads"),
    "an endless value": ("--epochs=" + "many " * 9999, "`epochs`", "[...]", "integer"),
    "a value of two lines": ("--epochs=a\n  b", "`epochs`", "integer"),
    # columns
    "columns that are no list": ("--load_col={inter: 3}", "`load_col` is 3 for inter", "a list"),
    "no such column": (
        "--load_col={inter: [user_id, item_id, timestmp]}",
        "`load_col`",
        "`timestamp`",
    ),
    "no such file to load": ("--load_col={inter: '*', usr: '*'}", "`load_col`", "good.usr"),
    "users taken away": ("--unload_col={inter: [user_id]}", "`unload_col`", "is needed"),
    "times taken away": ("--unload_col={inter: [timestamp]}", "`TIME_FIELD`", "is needed"),
    "users unused": ("--unused_col={inter: [user_id]}", "`unused_col`", "is needed"),
    "a threshold of nothing": ("--threshold={rating: 4}", "`threshold`", "`rating`"),
    "two thresholds": ("--threshold={}", "`threshold` is {}", "{rating: 4}"),
    "labels of times": ("--threshold={timestamp: 4}", "`threshold`", "needed as times"),
    "a threshold of text": ("--threshold={rating: high}", "`threshold`", "{key: a number}"),
    "an alias of nothing": ("--alias_of_user_id=[friend]", "`alias_of_user_id`", "`friend`"),
    "numbers of tokens": ("--numerical_features=[item_id]", "`item_id:token`", "floats"),
    "no numbers at all": ("--numerical_features=[price]", "`numerical_features`", "`price`"),
    "classes of no number": (
        "--discretization={timestamp: {method: ED, bucket: 3}}",
        "`discretization`",
        "`numerical_features`",
    ),
    "no file of vectors": ("--additional_feat_suffix=[emb]", "emb", "good.emb is not there"),
    "vectors of nothing": ("--preload_weight={iid: vec}", "`preload_weight`", "`iid`"),
    "one name for two": ("--LABEL_FIELD=item_id", "`LABEL_FIELD`", "`ITEM_ID_FIELD`", "item_id"),
    "a name that is made": (
        "--ITEM_LIST_LENGTH_FIELD=item_id_list",
        "`LIST_SUFFIX`",
        "`item_id_list`",
    ),
    "no name": ("--LIST_SUFFIX=", "`LIST_SUFFIX`", "a name"),
    "which of several rows": ("--rm_dup_inter=newest", "`rm_dup_inter`", "first, last"),
    "another encoding of the data": ("--encoding=utf-16", "good.inter", "`encoding` is utf-16"),
    "no text encoding": ("--encoding=hex", "good.inter", "`encoding` is hex"),
    # evaluation
    "validation alone": ("--eval_args={split: {LS: valid_only}}", "valid_only", "valid_and_test"),
    "test alone": ("--eval_args={split: {LS: test_only}}", "test_only", "valid_and_test"),
    "no share for the test": ("--eval_args={split: {RS: [8, 2, 0]}}", "[8, 2, 0]", "above 0"),
    "two shares": ("--eval_args={split: {RS: [8, 2]}}", "[8, 2]", "three shares"),
    "four shares": ("--eval_args={split: {RS: [5, 2, 2, 1]}}", "three shares"),
    "negative shares": ("--eval_args={split: {RS: [-1, 1, 1]}}", "[-1, 1, 1]"),
    "shares that are no list": ("--eval_args={split: {RS: 8}}", "{'RS': 8}"),
    "shares that are texts": ("--eval_args={split: {RS: [a, b, c]}}", "['a', 'b', 'c']"),
    "two splits": ("--eval_args={split: {LS: valid_and_test, RS: [8, 1, 1]}}", "must have"),
    "no split": ("--eval_args={split: ~}", "None", "valid_and_test"),
    "unknown split": ("--eval_args={split: {XX: 1}}", "XX"),
    "unknown order": ("--eval_args={order: XX}", "'XX'", "TO"),
    "unknown grouping": ("--eval_args={group_by: item}", "item", "user"),
    "unknown mode": ("--eval_args={mode: fulll}", "'fulll'"),
    "no candidates": ("--eval_args={mode: uni0}", "'uni0'"),
    "unknown part": ("--eval_args={modes: full}", "`modes`", "`mode`"),
    "a text for all": ("--eval_args=full", "`eval_args`", "full"),
    "histories in random order": (
        "--model=SASRec --eval_args={order: RO}",
        "order RO",
        "SASRec reads histories in time order",
    ),
    "labelled ranking": ("--eval_args={mode: labeled}", "labeled", "AUC"),
    "labelled test alone": ("--eval_args={mode: {valid: full, test: labeled}}", "labeled"),
    "values of a ranking": ("--metrics=[AUC] --valid_metric=AUC", "AUC", "mode: labeled"),
    "two kinds of metrics": ("--metrics=[AUC,NDCG] --valid_metric=AUC", "AUC", "NDCG", "one kind"),
    "no labels": (
        "--metrics=[AUC] --valid_metric=AUC --eval_args={mode: labeled}",
        "no column `label`",
        "`threshold`",
    ),
    "labels to learn from": ("--model=FM", "FM learns from labels", "`threshold`"),
    # what is unpickled
    "a saved data set": ("--dataset_save_path=DATA/cached/good-Dataset.pth", "`dataset_save_path`"),
    "saved dataloaders": ("--dataloaders_save_path=a.pth", "`dataloaders_save_path`", "a.pth"),
    "a data set to save": ("--save_dataset=True", "`save_dataset`", "pickle"),
    "dataloaders to save": ("--save_dataloaders=True", "`save_dataloaders`", "pickle"),
    "a data set in the folder": ("--run_dir=DATA/cached", "cached/good-", "unpickle"),
    "a sequential one": (
        "--model=SASRec --loss_type=BPR --run_dir=DATA/cached",
        "Dataset.pth",
        "unpickle",
    ),
    "dataloaders in the folder": ("--run_dir=DATA/cached loaders", "good-for-Pop-dataloader.pth"),
    # data
    "one item": ("--dataset=one_item", "one_item has one item"),
    "one row a user": ("--dataset=one_row", "no rows to validate on", "at least 3"),
    "two rows a user": ("--dataset=two_rows", "no rows to validate on"),
    "three rows in sequences": (
        "--dataset=three_rows --model=SASRecAll",
        "no rows to validate on",
        "at least 4",
    ),
    "all items cold": ("--model=SASRecAll --cold_items=0.99", "`cold_items` is 0.99", "lower it"),
    "a gap without end": ("--model=SASRecAll --validation_gap=50", "`validation_gap` is 50"),
    "no times": ("--dataset=no_times", "no_times.inter", "`timestamp`", "order: RO"),
    "no times in sequences": ("--dataset=no_times --model=SASRecAll", "`timestamp`", "TIME_FIELD"),
    "a row without time": ("--dataset=missing_time", "1 rows without `timestamp`", "line 6"),
    "no item column": ("--dataset=no_items", "`item_id`", "user_id, timestamp"),
    "no user column": ("--dataset=no_users", "`user_id`", "item_id, timestamp"),
    "a column of another name": ("--dataset=odd_name", "`item_id`", "`itemid`"),
    "another field for users": ("--USER_ID_FIELD=person", "`person`", "USER_ID_FIELD"),
    "a column twice": ("--dataset=twice", "twice.inter, line 1", "`item_id` is named twice"),
    "columns without types": ("--dataset=no_types", "line 1", "`user_id` has no type"),
    "no first line": ("--dataset=no_header", "line 1", "has no type"),
    "another separator": ("--dataset=commas", "commas.inter", "line 1", "`field_separator`"),
    "items as floats": ("--dataset=float_items", "`item_id:float`", "item_id:token"),
    "users as floats": ("--dataset=float_users", "`user_id:float`", "user_id:token"),
    "times as tokens": ("--dataset=token_times", "`timestamp:token`", "timestamp:float"),
    "no time loaded": ("--load_col={inter: [user_id, item_id]}", "`load_col`", "`timestamp`"),
    "a first line alone": ("--dataset=header_alone", "header_alone.inter", "empty"),
    "an empty file": ("--dataset=nothing", "nothing.inter", "empty"),
    "no file": ("--dataset=no_file", "no_file.inter", "missing"),
    "two benchmark files": (
        "--benchmark_filename=[train,test]",
        "['train', 'test']",
        "three files",
    ),
    "filters that leave nothing": ("--item_inter_num_interval=[500,inf)", "filters leave no"),
    "values that leave nothing": (
        "--val_interval={timestamp: '[9e12,inf)'}",
        "filters leave no interactions",
    ),
    "a filter on no column": ("--val_interval={rating: '[3,inf)'}", "rating", "no such column"),
    "unknown encoding": ("--encoding=latin99", "latin99"),
    # folders
    "a run's folder under a file": ("--run_dir=DATA/a file/run", "a file/run", "--run_dir"),
    "a file as a run's folder": ("--run_dir=DATA/a file", "a file", "--run_dir"),
    "a file as results": ("--results=DATA/a file", "a file"),
    "results under a file": ("--results=DATA/a file/results", "a file/results"),
    "runs under a file": ("--checkpoint_dir=DATA/a file", "a file", "--checkpoint_dir"),
    "no such data_path": ("--data_path=nowhere", "nowhere", "`data_path`"),
    # comparisons
    "a run's folder for several": ("--seeds=2 --run_dir=here", "--run_dir"),
    "one unknown model of two": ("--model=Pop,SASRecc", "`SASRecc`"),
    "one data set of two": ("--dataset=good,one_item --model=Pop,BPR", "one_item has one item"),
    "a bad split of two": ("--dataset=two_rows --model=Pop,BPR", "no rows to validate on"),
    "a gap in a comparison": ("--seeds=2 --validation_gap=1", "`validation_gap`"),
}
RESUMED = {
    "no folder": ("--resume=nowhere", "nowhere/run.json"),
    "a folder without a run": ("--resume=DATA/good", "holds no run to go on with"),
    "half a file": ("--resume=DATA/half", "half/run.json"),
    "another file": ("--resume=DATA/other", "lacks what a run is known by"),
    "settings as well": ("--resume=DATA/good --epochs=2", "leave out --epochs"),
    "a model as well": ("--resume=DATA/good --model=Pop", "leave out --model"),
    "a folder as well": ("--resume=DATA/good --run_dir=here", "leave out --run_dir"),
}
TRIALS = {
    "unknown model": ("--model=Popp", "Popp"),
    "two models": ("--model=Pop,BPR", "one model"),
    "no list": ("--model=Pop", "Pop.yaml"),
    "no such number": ("--only=99", "--only=99"),
    "a word without dashes": ("epochs=1", "epochs=1"),
    "no value": ("--epochs", "--epochs"),
    "unknown key": ("--epoch=1", "`epoch`", "`epochs`"),
    "a value out of range": ("--epochs=-1", "`epochs`", "-1"),
    "unknown dataset": ("--dataset=god", "`god`"),
    "no times": ("--dataset=no_times", "`timestamp`"),
    "a bad split": ("--eval_args={split: {RS: [8, 2]}}", "[8, 2]"),
    "a saved data set": ("--dataset_save_path=a.pth", "`dataset_save_path`"),
    "nothing to rank again": ("--trained=nowhere", "changes the ranking alone"),
}


def typed(defaults: list[str], words: str, data_path: Path) -> list[str]:
    """Words behind defaults, of which those that are typed again go."""
    asked = [f"--{word}" for word in f" {words}".split(" --")[1:]] if words[0] == "-" else [words]
    split = [part for word in asked for part in _split(word.replace("DATA", str(data_path)))]
    keys = {word.partition("=")[0] for word in split}
    return [word for word in defaults if word.partition("=")[0] not in keys] + split


def _split(word: str) -> list[str]:
    return word.split(" ", 1) if word.startswith("--config_files ") else [word]


def error_of(main, words: list[str], capsys) -> str:
    """The one sentence of a command that is refused and leaves nothing behind."""
    before = set(Path.cwd().rglob("*"))
    capsys.readouterr()
    try:
        status = main(words)
    except SystemExit as stopped:
        status = stopped.code
    stderr = capsys.readouterr().err
    assert status == 2, stderr
    assert stderr.startswith("error: ") and stderr.count("\n") == 1, stderr
    assert set(Path.cwd().rglob("*")) == before, "nothing is left behind"
    return stderr.removeprefix("error: ").strip()


@pytest.fixture(autouse=True)
def nothing_starts(monkeypatch):
    """A case that is not refused would train; a comparison would start processes."""
    monkeypatch.setattr(runner, "run_process", lambda *_: pytest.fail("must not start"))
    monkeypatch.setattr(trials, "run_process", lambda *_: pytest.fail("must not start"))


@pytest.mark.parametrize("case", RUNS)
def test_a_bad_run_is_one_sentence(case, data_path, capsys):
    words, *parts = RUNS[case]
    defaults = ["--model=Pop", "--dataset=good", f"--data_path={data_path}"]
    message = error_of(run_recbole_store.main, typed(defaults, words, data_path), capsys)
    assert all(part in message for part in parts), message
    assert not Path("exploded").exists()


@pytest.mark.parametrize("case", RESUMED)
def test_what_cannot_go_on_is_one_sentence(case, data_path, capsys):
    words, *parts = RESUMED[case]
    message = error_of(run_recbole_store.main, typed([], words, data_path), capsys)
    assert all(part in message for part in parts), message


@pytest.mark.parametrize("case", TRIALS)
def test_bad_trials_are_one_sentence(case, data_path, capsys):
    words, *parts = TRIALS[case]
    defaults = ["--model=SASRecAll", "--dataset=good", f"--data_path={data_path}"]
    message = error_of(tune.main, typed(defaults, words, data_path), capsys)
    assert all(part in message for part in parts), message


def test_there_are_enough_of_them():
    assert len(RUNS) + len(RESUMED) >= 150


def test_what_torchrun_has_started_in_vain(data_path, capsys, monkeypatch):
    """Commands of one process, and processes that cannot find each other."""
    monkeypatch.setenv("WORLD_SIZE", "2")
    words = ["--model=STORE", "--dataset=good", f"--data_path={data_path}"]
    assert "$RANK is not set" in error_of(run_recbole_store.main, words, capsys)
    for several in (["compare", *words], [*words, "--seeds=2"], ["similar", "saved/x/model"]):
        said = error_of(run_recbole_store.main, several, capsys)
        assert "torchrun has started 2 processes, but" in said and "without torchrun" in said


# What is found out about the machine, before stage 1


@pytest.mark.parametrize("folder", ["run_dir", "results", "cache"])
def test_too_little_room_is_told_before_training(
    folder, data_path, capsys, monkeypatch, tiny_llm, tmp_path
):
    """Of every folder that a run writes to."""

    monkeypatch.setattr(
        run_folder.shutil, "disk_usage", lambda path: SimpleNamespace(free=1_500_000)
    )
    words = [f"--data_path={data_path}", "--dataset=good", "--model=Pop"]
    if folder == "run_dir":
        message = error_of(run_recbole_store.main, [*words, "--run_dir=here"], capsys)
        assert "here has 2 MB free" in message and "--run_dir" in message
        return
    if folder == "results":
        several = [*words[:2], "--model=Pop,BPR", "--results=here"]
        message = error_of(run_recbole_store.main, several, capsys)
        assert "here has 2 MB free, but the run will write up to 2 MB" in message
        assert "--results" in message
        return
    monkeypatch.setattr(run, "bytes_of_run", lambda model: 0)
    blocked = tmp_path / "blocked"
    blocked.write_text("a file in the way")
    monkeypatch.setenv("RECBOLE_STORE_CACHE", str(blocked))
    words = [*words[:2], "--model=STORE", f"--backbone={tiny_llm}", "--backbone_layers=1"]
    message = error_of(run_recbole_store.main, words, capsys)
    assert f"{blocked}/tokenizers" in message and "$RECBOLE_STORE_CACHE" in message
