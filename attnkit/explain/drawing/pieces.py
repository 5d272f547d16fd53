"""Subword pieces: how they are shown, and how they are put together into words."""

from __future__ import annotations

from collections.abc import Sequence

from attnkit.printable import printable

WORD_START = "\u2581"  # SentencePiece writes a space as this block and puts it at the start of a word
_CONTINUES = "\u00b7"  # a middle dot before a piece that goes on with the word
SPECIAL = frozenset(
    {
        "<s>", "</s>", "<unk>", "<pad>", "<mask>", "[CLS]", "[SEP]", "[UNK]", "[PAD]", "[MASK]", "<|endoftext|>",
        "<|startoftext|>",
    }
)  # fmt: skip
"""What tokenizers call the tokens that are no text: ours, BERT's, GPT-2's and CLIP's."""


def word_spans(tokens: Sequence[str]) -> list[tuple[int, int]]:
    """The words that the pieces make, as (first, past the last) positions.

    A word starts at the mark of SentencePiece, at a special token such as `</s>` and after one. Tokens without any
    mark are words already: each is a span of its own.
    """
    if not _are_pieces(tokens):
        return [(position, position + 1) for position in range(len(tokens))]
    starts = [position for position in range(len(tokens)) if _starts_word(tokens, position)]
    return list(zip(starts, [*starts[1:], len(tokens)], strict=True))


def labels(tokens: Sequence[str]) -> list[str]:
    """The tokens as people read them: `▁the`, `▁ta`, `ble` become `the`, `ta`, `·ble`.

    A piece that is only a space is shown as `␣`. Control characters, marks that turn the writing direction and lone
    surrogates become `\ufffd`: a token must not move the cursor, turn the page around or break the encoding.
    """
    pieces = _are_pieces(tokens)
    return [_label(token, pieces and not _starts_word(tokens, i)) for i, token in enumerate(tokens)]


def _label(token: str, continues: bool) -> str:
    text = printable(token.removeprefix(WORD_START).replace(WORD_START, " "))
    if not text.strip():
        return "\u2423"
    return _CONTINUES + text if continues else text


def _are_pieces(tokens: Sequence[str]) -> bool:
    return any(token.startswith(WORD_START) for token in tokens)


def _starts_word(tokens: Sequence[str], position: int) -> bool:
    if position == 0 or tokens[position].startswith(WORD_START) or tokens[position] in SPECIAL:
        return True
    return tokens[position - 1] in SPECIAL
