"""The report as a reader's program sees it: ids, links, tables, texts."""

from __future__ import annotations

from html.parser import HTMLParser

VOID = {"meta", "link", "br", "wbr", "line", "img", "hr", "input"}


class Page(HTMLParser):
    """Parsed once; elements are (tag, attributes)."""

    def __init__(self, text: str):
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict]] = []
        self.tables: dict[str, list[list[str]]] = {}  # id -> rows of cells, the header first
        self.small: dict[str, list[list[str]]] = {}  # what stands small in the same cells
        self.classes: dict[str, list[list[str]]] = {}  # of the same cells
        self.texts: dict[str, list[str]] = {}  # tag -> texts of its elements
        self.scripts: dict[str, str] = {}  # id -> content
        self._open: list[tuple[str, dict]] = []
        self._heard: list[list[str]] = []
        self._table = ""
        self.feed(text)
        self.close()
        assert not self._open, f"never closed: {self._open}"

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self.elements.append((tag, attributes))
        if tag in VOID:
            return
        if tag == "table":
            self._table = attributes["id"]
            for cells in (self.tables, self.small, self.classes):
                cells[self._table] = []
        elif tag == "tr":
            for cells in (self.tables, self.small, self.classes):
                cells[self._table].append([])
        elif tag in ("th", "td"):
            self.tables[self._table][-1].append("")
            self.small[self._table][-1].append("")
            self.classes[self._table][-1].append(attributes.get("class", ""))
        self._open.append((tag, attributes))
        self._heard.append([])

    def handle_endtag(self, tag):
        opened, attributes = self._open.pop()
        assert opened == tag, f"<{opened}> closed by </{tag}>"
        text = "".join(self._heard.pop())
        self.texts.setdefault(tag, []).append(" ".join(text.split()))
        if tag == "script":
            self.scripts[attributes.get("id", "")] = text
        if tag == "small":
            self.small[self._table][-1][-1] += text
        elif tag in ("th", "td"):
            self.tables[self._table][-1][-1] = " ".join(text.split())
        if self._heard and tag not in ("small", "script", "style") and not _unseen(attributes):
            self._heard[-1].append(text)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data):
        if self._heard:
            self._heard[-1].append(data)

    def attributes(self, name: str) -> list[str]:
        """The values of an attribute in every element that has it."""
        return [attributes[name] for _, attributes in self.elements if name in attributes]

    def column(self, table: str, name: str) -> dict[str, str]:
        """Row header -> cell of a named column."""
        header, *rows = self.tables[table]
        return {row[0]: row[header.index(name)] for row in rows}


def _unseen(attributes: dict) -> bool:
    return "unseen" in (attributes.get("class") or "").split()
