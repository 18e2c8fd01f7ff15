"""The report as a reader's program sees it: ids, links, tables, texts."""

from __future__ import annotations

from html.parser import HTMLParser

VOID = {"meta", "link", "br", "wbr", "img", "hr", "input"}


class Page(HTMLParser):
    """Parsed once; elements are (tag, attributes)."""

    def __init__(self, text: str):
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict]] = []
        self.tables: dict[str, list[list[str]]] = {}  # caption -> rows of cells, the header first
        self.texts: dict[str, list[str]] = {}  # tag -> texts of its elements
        self.by_class: dict[str, list[str]] = {}  # class -> texts of its elements
        self._open: list[tuple[str, dict]] = []
        self._heard: list[list[str]] = []
        self._rows: list[list[str]] = []
        self.feed(text)
        self.close()
        assert not self._open, f"never closed: {self._open}"

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self.elements.append((tag, attributes))
        if tag in VOID:
            return
        if tag == "caption":
            self._rows = []
        elif tag == "tr":
            self._rows.append([])
        self._open.append((tag, attributes))
        self._heard.append([])

    def handle_endtag(self, tag):
        opened, attributes = self._open.pop()
        assert opened == tag, f"<{opened}> closed by </{tag}>"
        text = " ".join("".join(self._heard.pop()).split())
        self.texts.setdefault(tag, []).append(text)
        for name in (attributes.get("class") or "").split():
            self.by_class.setdefault(name, []).append(text)
        if tag == "caption":
            assert text not in self.tables, f"two tables are called {text}"
            self.tables[text] = self._rows
        elif tag in ("th", "td"):
            self._rows[-1].append(text)
        if self._heard and tag not in ("script", "style", "title"):
            self._heard[-1].append(text)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data):
        if self._heard:
            self._heard[-1].append(data)

    def attributes(self, name: str) -> list[str]:
        """The values of an attribute in every element that has it."""
        return [attributes[name] for _, attributes in self.elements if name in attributes]
