"""Amazon 2023: milliseconds, variants of one product, odd prices."""

from __future__ import annotations


def review(user, item, time, variant="B00"):
    row = {"user_id": user, "parent_asin": item, "asin": variant, "timestamp": time, "rating": 5.0}
    return {**row, "title": "the review's own title", "text": "..."}


FILES = {
    "All_Toy.jsonl.gz": [
        review("AE", "P1", 1588615855070, "V2"),
        review("AF", "P1", 1588615855069),
        review("AE", "P2", 1588615855070),
        review("AE", "P1", 1588615855070, "V1"),
    ],
    "meta_All_Toy.jsonl.gz": [
        {
            "parent_asin": "P1",
            "title": "Herbal &amp; fresh",
            "store": None,
            "categories": ["All Beauty", "Hair"],
            "price": "None",
            "features": [],
            "description": ["one", "two"],
        },
        {"parent_asin": "P2", "title": None, "store": "NA", "categories": [], "price": 12.5},
    ],
}


def test_files(prepare):
    prepared = prepare("amazon2023", FILES)
    assert prepared.lines("inter")[1:] == [
        "AF\tP1\t5.0\t1588615855.069",
        "AE\tP1\t5.0\t1588615855.07",
        "AE\tP2\t5.0\t1588615855.07",
    ]
    assert prepared.lines("item") == [
        "item_id:token\ttitle:token_seq\tstore:token\tcategories:token_seq\tprice:float",
        "P1\tHerbal & fresh\t\tAll_Beauty Hair\t",
        "P2\t\tNA_\t\t12.5",
    ]
    assert prepared.texts["P1"]["description"] == ["one", "two"]
    assert prepared.texts["P2"] == {
        "title": "",
        "store": "NA",
        "categories": [],
        "price": "12.5",
        "features": "",
        "description": "",
    }


def test_the_first_of_two_review_files_is_not_taken_silently(refused):
    assert "2 files could be the reviews" in refused("amazon2023", {**FILES, "Other.jsonl.gz": []})
