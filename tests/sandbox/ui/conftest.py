"""A parser that reads the live page as a browser would."""

from __future__ import annotations

from html.parser import HTMLParser


class Reading(HTMLParser):
    """The content of a page as a browser would read it.

    Attributes:
        tags: every element and its attributes, in order.
        rows: by the id of a section, the texts of the cells of its table's body.
        captions: by the id of a section.
    """

    def __init__(self, content):
        super().__init__()
        self.tags, self.rows, self.captions, self.summary = [], {}, {}, {}
        self._section, self._open, self._term = "", [], ""
        self.feed(content.decode())

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        self._open.append(tag)
        if tag == "section":
            self._section = dict(attributes)["id"]
            self.rows[self._section], self.captions[self._section] = [], ""
        elif tag == "tr" and "tbody" in self._open:
            self.rows[self._section].append([])
        elif tag in ("td", "th") and "tbody" in self._open:
            self.rows[self._section][-1].append("")
        if tag in ("meta", "link"):
            self._open.pop()

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, text):
        if "tbody" in self._open:
            self.rows[self._section][-1][-1] += text
        elif "caption" in self._open:
            self.captions[self._section] += text
        elif "dt" in self._open:
            self._term = text
        elif "dd" in self._open:
            self.summary[self._term] = text
