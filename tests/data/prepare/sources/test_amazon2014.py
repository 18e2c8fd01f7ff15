"""Amazon 2014: JSON reviews and metadata that is Python, with the ugly cases of the real files."""

from __future__ import annotations

HEBREW = "\u05e9\u05dc\u05d5\u05dd"


def review(user, item, day, rating=5.0):
    return {"reviewerID": user, "asin": item, "overall": rating, "unixReviewTime": day * 86_400}


REVIEWS = [
    review("A1", "B3", 2),
    review("A1", "B1", 2, 4.0),
    review("A2", "B1", 1),
    review("A1", "B1", 2, 4.0),  # the same review again
    review("A1", "B2", 1),
    review("A2", "NA", 3),
    review("A2", "B1", 4),  # another one of the same product
]
METADATA = [
    r"""{'asin': 'B1', 'title': '"Quoted" it\'s\na &quot;title&quot;', 'price': 3.5, """
    r"""'categories': [['Beauty', 'Hair Care'], ['Beauty', 'Tools']], 'brand': 'Cover Girl'}""",
    "{'asin': 'B2', 'title': 'None', 'categories': [['Beauty']], 'description': 'x &amp; y'}",
    f"{{'asin': 'B3', 'title': '{HEBREW} \U0001f600  two'}}",
    "{'asin': 'NA', 'categories': [[]]}",
    "{'asin': 'B9', 'title': 'nobody bought this'}",
    "{'asin': 'B2', 'title': 'a second row of B2'}",
]
FILES = {"reviews_Toy_5.json.gz": REVIEWS, "meta_Toy.json.gz": METADATA}


def test_files(prepare):
    prepared = prepare("amazon2014", FILES)
    assert prepared.lines("inter") == [
        "user_id:token\titem_id:token\trating:float\ttimestamp:float",
        "A2\tB1\t5.0\t86400",
        "A1\tB2\t5.0\t86400",
        "A1\tB3\t5.0\t172800",
        "A1\tB1\t4.0\t172800",
        "A2\t%4EA\t5.0\t259200",
        "A2\tB1\t5.0\t345600",
    ]
    assert prepared.texts == {
        "B1": {
            "title": '"Quoted" it\'s a "title"',
            "brand": "Cover Girl",
            "categories": ["Beauty", "Hair Care", "Tools"],
            "price": "3.5",
            "description": "",
        },
        "B2": {
            "title": "None",
            "brand": "",
            "categories": ["Beauty"],
            "price": "",
            "description": "x & y",
        },
        "B3": {
            "title": f"{HEBREW} \U0001f600  two",
            "brand": "",
            "categories": [],
            "price": "",
            "description": "",
        },
        "%4EA": {"title": "", "brand": "", "categories": [], "price": "", "description": ""},
    }
    assert prepared.lines("item") == [
        "item_id:token\ttitle:token_seq\tbrand:token\tcategories:token_seq\tprice:float",
        "B1\t'Quoted' it's a 'title'\tCover Girl\tBeauty Hair_Care Tools\t3.5",
        "B2\tNone_\t\tBeauty\t",
        f"B3\t{HEBREW} \U0001f600 two\t\t\t",
        "%4EA\t\t\t\t",
    ]


def test_card(prepare):
    card = prepare("amazon2014", FILES).card
    counts = [card[key] for key in ("users", "items", "interactions", "repeated_pairs")]
    assert counts == [2, 4, 6, 1]
    assert card["rows"]["raw"] == 7 and card["rows"]["duplicates"] == 1
    assert card["ties"] == {"interactions": 2, "users": 1}
    assert card["text"]["without_text"] == 1 and card["text"]["filled"]["title"] == 3
    assert card["text"]["words"] == {"mean": 5.0, "median": 3.0, "max": 10}


def test_without_metadata(prepare):
    prepared = prepare("amazon2014", {"reviews_Toy_5.json.gz": REVIEWS})
    assert prepared.card["text"]["with_text"] == 0 and prepared.card["text"]["without_text"] == 4
    assert not list(prepared.folder.glob("*.text.jsonl")) + list(prepared.folder.glob("*.item"))


def test_faults(refused):
    bad = {**FILES, "meta_Toy.json.gz": ["{'asin': os.getpid()}", *METADATA]}
    message = refused("amazon2014", bad, "--k_core=1")
    assert "meta_Toy.json.gz, line 1: neither JSON nor a Python literal" in message
    review = {"reviewerID": "A1", "unixReviewTime": 1}
    bad = {**FILES, "reviews_Toy_5.json.gz": [*REVIEWS, review]}
    message = refused("amazon2014", bad)
    assert "line 8: no `asin`, but reviewerID, unixReviewTime" in message
