"""Atomic files of any content: the check and the run each give a result, or one sentence."""

from __future__ import annotations

from fuzzing import fuzzed, texts, told, with_odd_bytes
from hypothesis import given
from hypothesis import strategies as st

from recbole_store.data.check.check_dataset import check
from recbole_store.experiments.run.build import build, split
from recbole_store.settings.resolve import resolve

HEADER = "user_id:token\titem_id:token\ttimestamp:float"
ROWS = [
    f"u{user}\ti{(user + n) % 6}\t{1_600_000_000 + 500 * n}" for user in range(4) for n in range(5)
]
INTER = "\n".join([HEADER, *ROWS]).encode() + b"\n"
ITEM = "\n".join(
    ["item_id:token\ttitle:token_seq", *(f"i{n}\tTitle {n}" for n in range(6))]
).encode()

cells = st.one_of(
    texts,
    st.sampled_from(
        ["", "u0", "i1", "nan", "inf", "-1", "1e400", "NA", "1.0", "1_0", "0x1", '"', "9" * 400]
    ),
)
kinds = st.sampled_from(["token", "float", "token_seq", "float_seq", "", "int", "Float", "token "])


@st.composite
def tables(draw):
    """A first line and rows of odd cells."""
    names = draw(
        st.lists(st.sampled_from(["user_id", "item_id", "timestamp", "label", ""]), max_size=4)
    )
    header = "\t".join(f"{name}:{draw(kinds)}" for name in names)
    rows = draw(st.lists(st.lists(cells, max_size=4).map("\t".join), max_size=6))
    usual = draw(st.booleans())
    lines = [HEADER if usual else header, *(ROWS if usual else []), *rows]
    return "\n".join(lines).encode("utf-8", "replace")


def stops(folder) -> bool:
    """Whether the check says, or would say, that no run can start."""
    found = told(check, "toy", folder, [])
    return found is None or any(finding.stops for finding in found.findings)


def starts(folder, tiny_llm):
    typed = {"data_path": str(folder), "backbone": str(tiny_llm), "codebook_size": "2"}
    settings = resolve("STORE", "toy", [], typed)
    config, dataset = build("STORE", "toy", {**settings, "gpu_id": "", "show_progress": False})
    return split("STORE", config, dataset)


@given(
    inter=st.one_of(tables(), with_odd_bytes(INTER)), item=with_odd_bytes(ITEM), both=st.booleans()
)
@fuzzed(60)
def test_fuzzed_atomic_files(tmp_path, tiny_llm, inter, item, both):
    folder = tmp_path / "toy"
    folder.mkdir(exist_ok=True)
    (folder / "toy.inter").write_bytes(inter)
    (folder / "toy.item").write_bytes(item)
    is_refused = told(starts, tmp_path, tiny_llm) is None
    assert stops(tmp_path) or not is_refused, "the check foresees what a run refuses"
