"""H&M Personalized Fashion Recommendations: transactions and articles as CSV."""

from __future__ import annotations

from recbole_store.data.prepare.atomic_text import safe_id
from recbole_store.data.prepare.interactions import Interaction
from recbole_store.data.prepare.raw_files import Role
from recbole_store.data.prepare.raw_rows import delimited_rows, number_text, value_of
from recbole_store.data.prepare.sources.source import Source
from recbole_store.data.prepare.times import from_iso


class HM(Source):
    summary = "H&M: transactions_train.csv and articles.csv"
    roles = {
        "transactions": Role(("transactions_train.csv", "transactions_train.csv.gz")),
        "articles": Role(("articles.csv", "articles.csv.gz")),
    }
    item_columns = {
        "prod_name": "token_seq",
        "product_type_name": "token",
        "product_group_name": "token",
        "graphical_appearance_name": "token",
        "colour_group_name": "token",
        "department_name": "token",
        "section_name": "token",
        "detail_desc": "",
    }
    more_columns = {"price": "float"}
    remark = (
        "Times are whole days: purchases of one customer and day stand in the file's order. "
        "Several pieces of one article bought on a day are duplicates (--duplicates keep)."
    )

    def interactions(self, reader, files):
        return reader.read(
            delimited_rows(reader, files["transactions"], ","),
            lambda row: Interaction(
                safe_id(value_of(row, "customer_id")),
                safe_id(value_of(row, "article_id")),
                from_iso(value_of(row, "t_dat")),
                (number_text(row.get("price")),),
            ),
        )

    def items(self, reader, files):
        def article(row):
            value_of(row, "prod_name")
            return safe_id(value_of(row, "article_id")), row

        return reader.read(delimited_rows(reader, files["articles"], ","), article)
