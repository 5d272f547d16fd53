"""Lines of text for a language model, and their compact encoded form."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from attnkit.data.lines import read_lines
from attnkit.text.corpus import CorpusReport, EncodedCorpus, flatten
from attnkit.text.tokenizers.base import Tokenizer


def read_texts(files: Iterable[str]) -> list[str]:
    """The lines of UTF-8 files that are not empty, without white space at their ends; ".gz" works, "-" is standard
    input. Errors are those of `read_lines`."""
    return [text for file in files for line in read_lines(file) if (text := line.strip())]


def encode_lines(lines: Iterable[str], tokenizer: Tokenizer, max_length: int) -> EncodedCorpus:
    """Lines as the targets of a corpus without sources. Those of more than `max_length` tokens are left out and counted
    in its report."""
    report = CorpusReport("lines")

    def encoded() -> Iterator[list[int]]:
        for line in lines:
            ids = tokenizer.encode(line)
            if len(ids) > max_length:
                report.too_long += 1
            elif not ids:
                report.empty += 1
            else:
                report.kept += 1
                yield ids

    ids, offsets = flatten(encoded())
    return EncodedCorpus(np.zeros(0, np.int32), np.zeros(len(offsets), np.int64), ids, offsets, report)
