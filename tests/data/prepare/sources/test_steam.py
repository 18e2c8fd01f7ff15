"""Steam: Python literals with u'' texts; user names that hold anything."""

from __future__ import annotations


def review(name, product, date):
    return (
        f"{{u'username': {name!r}, u'product_id': u'{product}', u'date': u'{date}', u'text': u'!'}}"
    )


FILES = {
    "steam_reviews.json.gz": [
        review("Chaos Syren", 10, "2017-12-18"),
        review('"quoted"', 10, "2017-12-17"),
        review("None", 20, "2017-12-17"),
        review("\u2605 star", 20, "2017-12-17"),
        review("", 20, "2017-12-17"),
    ],
    "steam_games.json.gz": [
        "{u'app_name': u'Half-Life\\xae', u'title': u'HL', u'id': u'10', u'price': 9.99, "
        "u'genres': [u'Action'], u'tags': [u'First-Person Shooter', u'FPS'], "
        "u'developer': u'Valve'}",
        "{u'app_name': u'', u'title': u'Only title', u'id': u'20', u'price': u'Free To Play'}",
        "{u'app_name': u'no id'}",
    ],
}


def test_files(prepare):
    prepared = prepare("steam", FILES)
    assert prepared.lines("inter") == [
        "user_id:token\titem_id:token\ttimestamp:float",
        "%22quoted%22\t10\t1513468800",
        "%4Eone\t20\t1513468800",
        "\u2605%20star\t20\t1513468800",
        "Chaos%20Syren\t10\t1513555200",
    ]
    assert prepared.card["rows"]["incomplete"] == 1
    assert prepared.lines("item") == [
        "item_id:token\ttitle:token_seq\tdeveloper:token\tgenres:token_seq\ttags:token_seq\tprice:float",
        "10\tHalf-Life\u00ae\tValve\tAction\tFirst-Person_Shooter FPS\t9.99",
        "20\tOnly title\t\t\t\t",
    ]
