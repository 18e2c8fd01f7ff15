"""Yelp's JSON lines."""

from __future__ import annotations

FILES = {
    "yelp_academic_dataset_review.json": [
        {"user_id": "-u", "business_id": "b1", "stars": 4.0, "date": "2018-07-07 22:09:11"},
        {"user_id": "-u", "business_id": "b2", "stars": 1.0, "date": "2018-07-07 22:09:10"},
        {"user_id": "_v", "business_id": "b1", "stars": 5.0, "date": "2019-01-01 00:00:00"},
    ],
    "yelp_academic_dataset_business.json": [
        {"business_id": "b1", "name": '"A" Bar', "categories": "Bars, Ice Cream", "city": "Reno"},
        {"business_id": "b2", "name": "Caf\u00e9", "categories": None, "city": "", "state": "NV"},
    ],
}


def test_files(prepare):
    prepared = prepare("yelp", FILES)
    assert prepared.lines("inter")[1:] == [
        "-u\tb2\t1.0\t1531001350",
        "-u\tb1\t4.0\t1531001351",
        "_v\tb1\t5.0\t1546300800",
    ]
    assert prepared.lines("item") == [
        "item_id:token\tname:token_seq\tcategories:token_seq\tcity:token\tstate:token",
        "b1\t'A' Bar\tBars Ice_Cream\tReno\t",
        "b2\tCaf\u00e9\t\t\tNV",
    ]
    assert prepared.texts["b1"]["categories"] == ["Bars", "Ice Cream"]


def test_one_year(prepare):
    prepared = prepare("yelp", FILES, "--since=2019-01-01", "--until=2020-01-01")
    assert prepared.lines("inter")[1:] == ["_v\tb1\t5.0\t1546300800"]
    assert prepared.card["rows"]["outside_times"] == 2
    assert list(prepared.texts) == ["b1"]
