"""Where sentences end: a few rules for running text."""

from __future__ import annotations

import re

# A full stop, exclamation or question mark, with the quotes and brackets that close behind it, and then a space.
_END = re.compile(r"([.!?]+[\"'”’)\]]*)\s+")
_IDEOGRAPHIC_END = re.compile(r"([。！？]+[」』”’）]*)")
# What a full stop does not end: a title, an abbreviation, a single capital (an initial).
_NO_END = re.compile(r"(?<!\w)(?:(?i:mr|mrs|ms|dr|prof|st|jr|sr|vs|etc|e\.g|i\.e|vol)|[A-Z])\.$")


def split_sentences(text: str) -> list[str]:
    """The sentences of a text, none empty, without white space at their ends.

    A sentence ends at `.`, `!` or `?` before a space, unless that belongs to a common abbreviation or an initial; at
    the ideographic marks `。！？`; and at the end of a line.
    """
    sentences: list[str] = []
    for line in _IDEOGRAPHIC_END.sub("\\1\n", text).splitlines():
        start = 0
        for match in _END.finditer(line):
            if match[1] == "." and _NO_END.search(line, max(start, match.start() - 6), match.start() + 1):
                continue
            sentences.append(line[start : match.end(1)].strip())
            start = match.end()
        sentences.append(line[start:].strip())
    return [sentence for sentence in sentences if sentence]
