"""Any table: the same rows as CSV, TSV, JSON lines and Parquet, and what can be wrong."""

from __future__ import annotations

import duckdb
import pytest
from raw_data import Prepared

from recbole_store.data.prepare import command
from recbole_store.settings.property_files import read_properties

ROWS = [
    ("u1", "i1", "2020-01-01T00:00:00.25", 'The "best"', 4.5),
    ("u1", "i2", "2020-01-01", "NA", 3.0),
    ("u2", "i1", "2020-01-01T00:00:00.25", 'The "best"', 1.0),
]
NAMES = ("who", "what", "when", "title", "stars")
COLUMNS = ("--user=who", "--item=what", "--time=when", "--text", "title")
CSV = "who,what,when,title,stars\n" + "".join(
    f'{u},{i},{t},"{title.replace(chr(34), chr(34) * 2)}",{stars}\n'
    for u, i, t, title, stars in ROWS
)


def parquet(path) -> bytes:
    values = ", ".join(
        f"('{u}', '{i}', TIMESTAMP '{t.replace('T', ' ')}', '{title}', {stars})"
        for u, i, t, title, stars in ROWS
    )
    duckdb.sql(
        f'COPY (FROM (VALUES {values}) AS t("who", "what", "when", title, stars)) TO \'{path}\''
    )
    return path.read_bytes()


@pytest.mark.parametrize("kind", ["csv", "csv.gz", "zip/in/t.csv", "tsv", "jsonl", "parquet"])
def test_every_kind_of_file(prepare, tmp_path, kind):
    content = {
        "tsv": CSV.replace(",", "\t"),
        "jsonl": [dict(zip(NAMES, row, strict=True)) for row in ROWS],
        "parquet": parquet(tmp_path / "made.parquet") if kind == "parquet" else b"",
    }.get(kind, CSV)
    prepared = prepare("table", {f"t.{kind}": content}, *COLUMNS, "--inter_features", "stars:float")
    assert prepared.lines("inter") == [
        "user_id:token\titem_id:token\tstars:float\ttimestamp:float",
        "u1\ti2\t3.0\t1577836800",
        "u1\ti1\t4.5\t1577836800.25",
        "u2\ti1\t1.0\t1577836800.25",
    ]
    assert prepared.texts == {"i1": {"title": 'The "best"'}, "i2": {"title": "NA"}}
    assert prepared.lines("item")[1:] == ["i1\tThe 'best'", "i2\tNA_"]


def test_decimal_commas_are_read_where_semicolons_part_columns(prepare, tmp_path):
    (tmp_path / "items.csv").write_text(
        "what;title;price\ni1;Alpha, 1,5 l;1.234,50\ni2;Beta;k.A.\n", encoding="utf-8"
    )
    rows = "who;what;when;paid\nu1;i1;1;73,87\nu1;i2;2;-5\nu2;i1;3;1.5\n"
    prepared = prepare(
        *("table", {"t.csv": rows}, "--user=who", "--item=what", "--time=when", "--text", "title"),
        *(f"--items={tmp_path / 'items.csv'}", "--features", "price:float"),
        *("--inter_features", "paid:float"),
    )
    paid = [line.split("\t")[2] for line in prepared.lines("inter")[1:]]
    assert paid == ["73.87", "-5", "1.5"]
    assert prepared.lines("item")[1:] == ["i1\tAlpha, 1,5 l\t1234.50", "i2\tBeta\t"]
    commas = 'who,what,when,paid\nu1,i1,1,"73,87"\nu1,i2,2,1\n'
    other = prepare(
        *("table", {"t.csv": commas}, "--user=who", "--item=what", "--time=when", "--text"),
        *("--inter_features", "paid:float", "--force"),
    )
    assert other.lines("inter")[1].split("\t")[2] == "", "in English 73,87 is no number"


def test_items_of_their_own_and_features(prepare, tmp_path):
    (tmp_path / "items.jsonl").write_text(
        '{"id": "i1", "name: x": "Alpha", "tags": ["a b", "c"], "price": 3}\n'
        '{"id": "i2", "name: x": null, "tags": []}\n{"id": "i9", "name: x": "unused"}\n'
    )
    prepared = prepare(
        *("table", {"t.csv": CSV}, "--user=who", "--item=what", "--time=when"),
        *("--items", str(tmp_path / "items.jsonl"), "--items_id=id"),
        *("--text", "tags", "--features", "price:float", "--keep_all_items=no"),
    )
    assert prepared.texts == {
        "i1": {"tags": ["a b", "c"], "price": "3"},
        "i2": {"tags": [], "price": ""},
    }
    assert prepared.lines("item") == [
        "item_id:token\ttags:token_seq\tprice:float",
        "i1\ta_b c\t3",
        "i2\t\t",
    ]


def test_its_property_file(prepare):
    more = ("--text", "title", "stars", "--inter_features", "stars:float")
    prepared = prepare("table", {"t.csv": CSV}, *COLUMNS[:3], *more)
    assert read_properties(prepared.folder / "toy.yaml") == {
        "load_col": {"inter": ["user_id", "item_id", "stars", "timestamp"]},
        "item_text": {"title": "{}", "stars": "stars: {}"},
    }


def test_no_text_at_all(prepare):
    prepared = prepare("table", {"t.csv": CSV}, *COLUMNS[:3], "--text")
    assert {path.name for path in prepared.folder.iterdir()} == {
        *("toy.inter", "toy.yaml", "toy.card.md", "toy.card.json")
    }


@pytest.mark.parametrize(
    ("times", "options", "written"),
    [
        (["3", "1", "2"], ["--time=t"], ["1", "2", "3"]),
        (
            ["1588615855070", "5", "6.5"],
            ["--time=t", "--time_unit=ms"],
            ["0.005", "0.0065", "1588615855.07"],
        ),
        (["01/02/1970", "", "01/01/1970"], ["--time=t", "--time_format=%m/%d/%Y"], ["0", "86400"]),
        (["x", "y", "z"], ["--file_order"], ["2", "3", "4"]),
    ],
)
def test_times(prepare, times, options, written):
    rows = ["u,i,t", *(f"a,x{n},{t}" for n, t in enumerate(times))]
    prepared = prepare("table", {"t.csv": rows}, "--user=u", "--item=i", *options)
    assert [line.split("\t")[2] for line in prepared.lines("inter")[1:]] == written


def test_other_encodings_and_delimiters(prepare):
    text = 'who;what;when;title\nu;i;1;\u00c5ngstr\u00f6m, "x"\n'.encode("latin-1")
    options = ("--delimiter=;", "--encoding=latin-1", "--no_quotes")
    assert prepare("table", {"t.data": text}, *COLUMNS, *options).texts == {
        "i": {"title": '\u00c5ngstr\u00f6m, "x"'}
    }


NAN = float("nan")


def test_ids_of_whole_floats_meet_integers(prepare, tmp_path):
    """As pandas writes a column of integers that lacks one."""
    rows = [{"who": u, "what": i, "when": n} for n, (u, i) in enumerate([(1.0, 2.0), (1, 3.0)])]
    (tmp_path / "items.csv").write_text("what,title\n2,Two\n3.0,Three\n4,Four\n")
    items = ("--items", str(tmp_path / "items.csv"))
    prepared = prepare("table", {"t.jsonl": rows}, *COLUMNS, *items)
    assert prepared.lines("inter")[1:] == ["1\t2\t0", "1\t3\t1"]
    assert {i: text["title"] for i, text in prepared.texts.items()}.items() >= {
        ("2", "Two"),
        ("3", "Three"),
    }


@pytest.mark.parametrize("kind", ["jsonl", "csv", "parquet"])
def test_nan_is_missing(prepare, tmp_path, capsys, kind):
    """No user `nan` with thousands of purchases, no product of that title."""
    rows = [
        (1.0, 5.0, 10.0, "Lamp"),
        (NAN, 5.0, 11.0, "Lamp"),
        (1.0, NAN, 12.0, "?"),
        (1.0, 6.0, NAN, "?"),
        (2.0, 7.0, 13.0, NAN),
    ]
    if kind == "jsonl":
        content = [dict(zip(NAMES, row, strict=False)) for row in rows]
    elif kind == "csv":
        content = [",".join(NAMES[:4]), *(",".join(map(str, row)) for row in rows)]
    else:
        values = ", ".join(str(tuple(str(v) for v in row)) for row in rows)
        duckdb.sql(
            f'COPY (SELECT who::DOUBLE who, what::DOUBLE what, "when"::DOUBLE "when", '
            f"nullif(title, 'nan') title FROM (VALUES {values}) AS t(who, what, \"when\", title)) "
            f"TO '{tmp_path / 'made.parquet'}'"
        )
        content = (tmp_path / "made.parquet").read_bytes()
    prepared = prepare("table", {f"t.{kind}": content}, *COLUMNS)
    assert [line.split("\t")[:2] for line in prepared.lines("inter")[1:]] == [
        ["1", "5"],
        ["2", "7"],
    ]
    assert prepared.texts["5"] == {"title": "Lamp"} and prepared.texts["7"] == {"title": ""}
    assert "3 without user, item or time" in capsys.readouterr().out
    assert prepared.card["rows"]["incomplete"] == 3


def shop(**names) -> dict[str, list[str]]:
    """A shop's purchases and catalogue, with columns of these names."""
    names = {"user": "customer", "item": "sku", "time": "ordered_at", "id": "sku", **names}
    orders = [f"order,{names['user']},{names['item']},{names['time']}"]
    orders += [f"{n},c{n % 2},s{n % 3},2024-05-0{n + 1} 10:00:00" for n in range(6)]
    items = [f"{names['id']},title,price,brand", *(f"s{n},Lamp {n},3,Acme" for n in range(3))]
    return {"orders.csv": orders, "catalogue/items.csv": items}


@pytest.mark.parametrize(
    "names",
    [
        {},
        {"user": "CustomerID", "item": "StockCode", "time": "InvoiceDate", "id": "Stock Code"},
        {"user": "user_id", "item": "Article-No", "time": "Timestamp", "id": "id"},
        {"user": "client", "item": "product_id", "time": "Purchase Date", "id": "Product ID"},
    ],
)
def test_columns_are_told_by_their_names(write_raw, prepare, tmp_path, capsys, names):
    root = write_raw(shop(**names))
    items = ("--items", str(root / "catalogue" / "items.csv"))
    assert (
        command.main(
            [
                "table",
                "--raw",
                str(root / "orders.csv"),
                *items,
                "--out",
                str(tmp_path / "out" / "toy"),
            ]
        )
        == 0
    )
    prepared = Prepared(tmp_path / "out" / "toy")
    assert prepared.lines("inter")[1] == "c0\ts0\t1714557600"
    assert prepared.texts["s1"] == {"title": "Lamp 1", "brand": "Acme"}
    out = capsys.readouterr().out
    user, item = names.get("user", "customer"), names.get("item", "sku")
    assert f"columns: user `{user}`, item `{item}`, time `{names.get('time', 'ordered_at')}`" in out
    assert "text `title`, `brand`; --user, --item, --time and --text name others" in out


def test_columns_that_are_named_are_not_guessed_nor_told_of(prepare, capsys):
    rows = ["user_id,buyer,item,t,ts,title", "a,b,x,1,2000000000,Lamp"]
    named = ("--user=buyer", "--item=item", "--time=ts", "--text", "title", "--time_unit=s")
    assert prepare("table", {"t.csv": rows}, *named).lines("inter")[1] == "b\tx\t2000000000"
    assert "columns:" not in capsys.readouterr().out
    prepared = prepare("table", {"t.csv": rows}, "--user=buyer", "--force", "--text")
    assert prepared.lines("inter")[1] == "b\tx\t2000000000" and not prepared.card["text"]["filled"]


@pytest.mark.parametrize(
    ("header", "words"),
    [
        ("a,sku,date", ["is the user? Name it with --user; there are a, sku, date"]),
        ("customer,b,date", ["is the item? Name it with --item"]),
        ("customer,sku,c", ["is the time? Name it with --time", "--file_order"]),
    ],
)
def test_columns_that_no_name_tells(refused, header, words):
    message = refused("table", {"t.csv": [header, "1,2,3"]})
    assert "t.csv" in message and all(word in message for word in words), message


def test_an_unnamed_column_is_passed_over(prepare):
    """As spreadsheets leave them, one or several, in front or behind."""
    rows = [",user,item,time,,", "0,a,x,1,,", "1,b,y,2,,7"]
    assert prepare("table", {"t.csv": rows}).lines("inter")[1:] == ["a\tx\t1", "b\ty\t2"]


def test_every_header_is_read_before_the_first_row(refused, tmp_path):
    """Not after an hour over the interactions; their second row is faulty as well."""
    (tmp_path / "items.csv").write_text("what,name\ni1,x\n")
    content = CSV + "too,few\n"
    items = ("--items", str(tmp_path / "items.csv"))
    assert "items.csv has no column `title`" in refused(
        "table", {"t.csv": content}, *COLUMNS, *items
    )


@pytest.mark.parametrize(
    ("first", "unit", "written"),
    [
        (1_588_615_855, "seconds", "1588615855"),
        (1_588_615_855_070, "milliseconds", "1588615855.07"),
        (1_588_615_855_070_123, "microseconds", "1588615855.070123"),
        (1_588_615_855_070_123_456, "nanoseconds", "1588615855.070123456"),
        (7, "seconds", "7"),
    ],
)
@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_the_unit_of_times_is_told_by_their_size(prepare, capsys, first, unit, written, kind):
    times = [first, "", first + 1]
    content = ["u,i,t", *(f"a,x{n},{t}" for n, t in enumerate(times))]
    if kind == "jsonl":
        content = [{"u": "a", "i": f"x{n}", "t": t or None} for n, t in enumerate(times)]
    prepared = prepare("table", {f"t.{kind}": content}, *("--user=u", "--item=i", "--time=t"))
    assert prepared.lines("inter")[1] == f"a\tx0\t{written}"
    out = capsys.readouterr().out
    assert f"read as {unit} since 1970 ({first} is " in out and "--time_unit names another" in out


def test_a_unit_that_is_given_is_taken(prepare, capsys):
    rows = ["u,i,t", "a,x,1588615855070"]
    named = ("--user=u", "--item=i", "--time=t", "--time_unit=s")
    assert prepare("table", {"t.csv": rows}, *named).lines("inter")[1].endswith("1588615855070")
    assert "since 1970" not in capsys.readouterr().out


def test_numbers_that_cannot_be_read_are_counted(prepare, capsys):
    prices = ["36,24 \u20ac", "5", "", "on request", "nan"]
    rows = [{"u": "a", "i": f"x{n}", "t": n, "price": price} for n, price in enumerate(prices)]
    named = ("--user=u", "--item=i", "--time=t", "--features", "price:float")
    prepared = prepare("table", {"t.jsonl": rows}, *named)
    assert [line.split("\t")[1] for line in prepared.lines("item")[1:]] == ["", "5", "", "", ""]
    out = capsys.readouterr().out
    assert "price: 2 values are no numbers, such as '36,24 \u20ac'; left empty" in out
    assert prepared.card["text"]["no_numbers"] == {"price": 2}
    assert "| values of price that are no numbers | 2 (left empty) |" in prepared.lines("card.md")


def test_numbers_of_interactions_that_cannot_be_read_cost_no_interaction(prepare, capsys):
    rows = ["u,i,t,qty", "a,x,1,2", "a,y,2,two", "a,z,3,", "b,x,4,many"]
    named = ("--user=u", "--item=i", "--time=t", "--inter_features", "qty:float")
    prepared = prepare("table", {"t.csv": rows}, *named)
    assert [line.split("\t")[2] for line in prepared.lines("inter")[1:]] == ["2", "", "", ""]
    assert "qty: 2 values are no numbers, such as 'two'; left empty" in capsys.readouterr().out
    assert "| values of qty that are no numbers | 2 (left empty) |" in prepared.lines("card.md")


OTHER_MARKS = [("csv", ";"), ("csv", "\t"), ("txt", ","), ("tsv", "|")]


@pytest.mark.parametrize(("ending", "mark"), OTHER_MARKS)
def test_other_delimiters_are_told_by_the_header(prepare, capsys, ending, mark):
    rows = ["Customer,SKU,Datum,Title", "A,1,2024-01-01,Lamp", "B,2,2024-01-02,Chair"]
    rows = [row.replace(",", mark) for row in rows]
    prepared = prepare("table", {f"t.{ending}": rows})
    assert [line.split("\t")[0] for line in prepared.lines("inter")[1:]] == ["A", "B"]
    said = f"t.{ending}: columns are parted by {mark!r}; --delimiter names another"
    assert said in capsys.readouterr().out


def test_items_without_a_column_of_ids_are_asked_for_it(refused, tmp_path):
    (tmp_path / "items.csv").write_text("a,b\n1,2\n")
    message = refused("table", {"t.csv": CSV}, *COLUMNS, "--items", str(tmp_path / "items.csv"))
    assert "Which column of" in message and "--items_id; there are a, b." in message


CATALOGUE = "what,title\n" + "".join(f"i{n},Thing {n}\n" for n in range(1, 9))


def test_items_that_nobody_has_stay_in_the_catalogue(prepare, tmp_path, capsys):
    """And those that a filter left without interactions; every model loads them."""
    (tmp_path / "items.csv").write_text(CATALOGUE)
    items = ("--items", str(tmp_path / "items.csv"), "--k_core=2")
    rows = [
        "who,what,when",
        *(f"u{n % 2},i{1 + n // 2},{n}" for n in range(4)),
        "u0,i3,9",
        "u0,j,9",
    ]
    prepared = prepare("table", {"t.csv": rows}, *COLUMNS, *items)
    assert set(prepared.texts) == {f"i{n}" for n in range(1, 9)}
    assert [line.split("\t")[0] for line in prepared.lines("item")[1:]] == list(prepared.texts)
    out = capsys.readouterr().out
    assert "2 of 8 items have interactions; the others stay in the catalogue and are ranked" in out
    assert "2 users, 2 items of 8, 4 interactions" in out
    properties = read_properties(prepared.folder / "toy.yaml")
    columns = {"inter": ["user_id", "item_id", "timestamp"], "item": ["item_id"]}
    assert properties["load_col"] == columns
    assert (prepared.card["items"], prepared.card["text"]["items"]) == (2, 8)

    prepared = prepare("table", {}, *COLUMNS, *items, "--keep_all_items=no", "--force")
    assert set(prepared.texts) == {"i1", "i2"}
    out = capsys.readouterr().out
    assert "the filters take 2 of 4 items out of the catalogue (`--keep_all_items` keeps" in out
    assert "item" not in read_properties(prepared.folder / "toy.yaml")["load_col"]


def test_html_is_stripped_from_texts(prepare):
    rows = [dict(zip(NAMES, ("u", "i", 1, "<p>Salt &amp; <b>Pepper</b></p>"), strict=False))]
    assert prepare("table", {"t.jsonl": rows}, *COLUMNS).texts["i"]["title"] == "Salt & Pepper"


@pytest.mark.parametrize(
    ("name", "content", "options", "words"),
    [
        ("t.csv", CSV, ["--user=wo"], ["t.csv has no column `wo`", "who, what, when, title"]),
        ("t.csv", CSV, ["--text", "titel"], ["t.csv has no column `titel`"]),
        ("t.jsonl", ['{"a": 1}'], [], ["t.jsonl", "`who`"]),
        ("t.csv", "", [], ["t.csv is empty"]),
        ("t.jsonl", "", [], ["t.jsonl holds no interactions"]),
        ("t.csv", "who,what,when,title\n", [], ["t.csv holds no interactions"]),
        ("t.csv", "who,what,when,title\n,x,1,\n", [], ["No row of", "user, item and time"]),
        ("t.csv", "who,what,when,title\nu,x,soon,\n", [], ["t.csv, line 2", "'soon'"]),
        ("t.csv", "who,what,when,title\nu,x\n", [], ["t.csv, line 2", "2 fields where 4"]),
        ("t.csv", CSV, ["--k_core=5"], ["No interactions are left of 3", "--k_core"]),
        ("t.csv", CSV, ["--since=2030-01-01"], ["No interactions are left", "time window"]),
        ("t.csv", CSV, ["--since=soon"], ["--since", "'soon'"]),
        ("t.csv", CSV, ["--features", "title"], ["'title' is not COLUMN:TYPE"]),
        (
            "t.csv",
            CSV,
            ["--inter_features", "title:float"],
            ["No value of `title` in", "is a number, such as 'The \"best\"'"],
        ),
        ("t.csv", CSV, ["--inter_features", "timestamp:float"], ["'timestamp' cannot stand"]),
        ("t.csv", "who,what,when,title\nu,x,1.2.24,\n", [], ["'1.2.24'", "--time_format names"]),
        ("t.csv", CSV, ["--encoding=nonsense"], ["no encoding 'nonsense'"]),
        ("t.csv", CSV, ['--delimiter="'], ["--delimiter"]),
        ("t.csv", CSV, ["--time_format=%Q"], ["t.csv, line 2", "pattern %Q"]),
        ("t.csv", CSV, ["--items_id", "x"], ["--items_id"]),
        ("t.csv", CSV, ["--items", "nowhere"], ["nowhere"]),
        ("t.parquet", b"PAR1 no", [], ["t.parquet as Parquet"]),
        ("t.doc", CSV, [], ["t.doc", "--delimiter"]),
        ("t.csv", CSV.encode("utf-16"), [], ["t.csv, line 1: byte 0xff is not utf-8"]),
    ],
)
def test_refusals(refused, name, content, options, words):
    message = refused("table", {name: content}, *COLUMNS, *options)
    assert all(word in message for word in words), message


def test_two_files_are_no_table(refused):
    message = refused("table", {"a.csv": CSV, "b.csv": CSV}, *COLUMNS)
    assert "one file" in message and "a.csv, b.csv" in message
