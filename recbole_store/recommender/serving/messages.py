"""What requests and answers hold, for OpenAPI."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from recbole_store.recommender.serving.limits import HISTORY, LIST, NEW_ITEMS, ONLY


class _Given(BaseModel):
    model_config = ConfigDict(extra="forbid")


class RecommendRequest(_Given):
    """A history, the latest item last."""

    items: list[str] = Field(max_length=HISTORY, description="Raw item ids; [] is no history yet.")
    k: int = Field(10, ge=1, le=LIST, description="Items of the list.")
    user: str = Field("", max_length=200, description="For a model that tells users apart.")
    exclude_seen: bool = Field(True, description="Leave out the history's own items.")
    only: list[str] | None = Field(
        None, min_length=1, max_length=ONLY, description="Items that may be recommended."
    )


class Item(BaseModel):
    """An item."""

    item_id: str
    title: str
    semantic_id: list[int] | None


class RankedItem(Item):
    score: float


class Recommended(BaseModel):
    """A ranked list, best first; unknown items of the history were left out."""

    items: list[RankedItem]
    unknown_items: list[str]


class KnownItem(Item):
    """An item with its text columns."""

    columns: dict[str, str]
    training_count: int
    is_new: bool = Field(description="Whether it came after training.")


class ExplainRequest(_Given):
    item: str
    items: list[str] = Field([], max_length=HISTORY, description="A history; [] explains the item.")
    user: str = Field("", max_length=200)
    k: int = Field(5, ge=1, le=50)


class NewItemsRequest(_Given):
    items: list[dict[str, str]] = Field(
        min_length=1, max_length=NEW_ITEMS, description="item_id and the run's text columns."
    )


class Added(BaseModel):
    added: list[str]
    known: int = Field(description="How many the model had already; they stay as they are.")
    n_items: int
