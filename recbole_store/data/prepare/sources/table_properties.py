"""The property file of a data set that was a table."""

from __future__ import annotations

import yaml


def yaml_text(text_columns: list[str], more: dict[str, str]) -> str:
    """Properties of a table's data set: the columns loaded, and each text column's piece."""
    load = ["user_id", "item_id", *more, "timestamp"]
    lines = [
        "load_col:                       # (dict) Atomic file suffix: columns RecBole loads.",
        f"  inter: {_flow(load)}",
    ]
    if text_columns:
        lines.append(
            "item_text:                      # (dict) Text column: its piece; {} is the value."
        )
        first, *others = text_columns
        for column, piece in [(first, "{}"), *((other, other + ": {}") for other in others)]:
            lines.append(f"  {_flow(column)}: {_flow(piece)}")
    return "\n".join(lines) + "\n"


def _flow(value) -> str:
    """A value as YAML on one line."""
    text = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=10_000)
    return text.removesuffix("\n").removesuffix("\n...")
