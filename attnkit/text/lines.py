"""Lines of text for a language model, and their compact encoded form."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from attnkit.data.lines import read_lines, read_records, string_field
from attnkit.text.corpus import CorpusReport, EncodedCorpus, flatten
from attnkit.text.documents import prepare_text
from attnkit.text.tokenizers.base import Tokenizer


def read_texts(files: Iterable[str], text_key: str = "", html: bool = False) -> list[str]:
    """The lines of UTF-8 files that are not empty, without white space at their ends; ".gz" works, "-" is standard
    input. With a text_key the lines are JSON objects with a text under it, of which all white space becomes spaces.
    html: tags are taken out. Errors are those of `read_lines` and `read_records`."""
    lines = (line for file in files for line in _lines(file, text_key))
    texts = (prepare_text(line, html) for line in lines)
    if text_key or html:
        texts = (" ".join(text.split()) for text in texts)
    return [text for text in texts if text]


def _lines(file: str, text_key: str) -> Iterator[str]:
    if not text_key:
        return read_lines(file)
    return (string_field(record, text_key, where) for where, record in read_records(file))


def encode_lines(
    lines: Iterable[str], tokenizer: Tokenizer, max_length: int, split_long: bool = False
) -> EncodedCorpus:
    """Lines as the targets of a corpus without sources. Those of more than `max_length` tokens are left out and counted
    in its report; with split_long they are cut into several of at most so many."""
    report = CorpusReport("lines")

    def encoded() -> Iterator[list[int]]:
        for line in lines:
            ids = tokenizer.encode(line)
            if len(ids) > max_length and split_long:
                report.kept += 1
                yield from (ids[start : start + max_length] for start in range(0, len(ids), max_length))
            elif len(ids) > max_length:
                report.too_long += 1
            elif not ids:
                report.empty += 1
            else:
                report.kept += 1
                yield ids

    ids, offsets = flatten(encoded())
    return EncodedCorpus(np.zeros(0, np.int32), np.zeros(len(offsets), np.int64), ids, offsets, report)
