"""H&M: ids with leading zeros, quoted descriptions, purchases of one day."""

from __future__ import annotations

HEADER = "t_dat,customer_id,article_id,price,sales_channel_id"
FILES = {
    "transactions_train.csv": [
        HEADER,
        "2018-09-21,00ff,0108775015,0.0508,2",
        "2018-09-20,00ff,0108775044,0.0305,2",
        "2018-09-20,00ff,0108775044,0.0305,2",
        "2018-09-20,00ff,0108775015,0.0305,1",
    ],
    "articles.csv": [
        "article_id,prod_name,product_type_name,colour_group_name,detail_desc",
        '0108775015,Strap top,Vest top,Black,"Jersey top, with ""narrow"" straps."',
        "0108775044,NA,Vest top,White,",
    ],
}


def test_files(prepare):
    prepared = prepare("hm", FILES)
    assert prepared.lines("inter") == [
        "user_id:token\titem_id:token\tprice:float\ttimestamp:float",
        "00ff\t0108775044\t0.0305\t1537401600",
        "00ff\t0108775015\t0.0305\t1537401600",
        "00ff\t0108775015\t0.0508\t1537488000",
    ]
    text = prepared.texts["0108775015"]
    assert text["detail_desc"] == 'Jersey top, with "narrow" straps.'
    assert prepared.lines("item") == [
        "item_id:token\tprod_name:token_seq\tproduct_type_name:token\tcolour_group_name:token",
        "0108775015\tStrap top\tVest top\tBlack",
        "0108775044\tNA_\tVest top\tWhite",
    ]


def test_every_piece_counts_if_told(prepare):
    assert len(prepare("hm", FILES, "--duplicates=keep").lines("inter")) == 5
