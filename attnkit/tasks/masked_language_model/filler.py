"""Filling gaps in texts with a masked language model."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

import numpy as np
import numpy.typing as npt

from attnkit import _tensor
from attnkit._tensor import Precision, check_precision
from attnkit.data.arrivals import Paused, windows
from attnkit.tasks.shared.by_length import batches_by_length
from attnkit.tasks.shared.places import at
from attnkit.tasks.shared.progress import Done, unseen
from attnkit.text.masked_batching import MaskedBatch
from attnkit.text.masking import ordinary_tokens
from attnkit.text.tokenizers.vocabulary import MASK_TOKEN, WORD_START

if TYPE_CHECKING:
    from attnkit.explain.maps.maps import AttentionMaps
    from attnkit.models.encoder_only import EncoderOnly
    from attnkit.tasks.masked_language_model.figures import MaskedReport
    from attnkit.tasks.shared.directory import ModelDirectory
    from attnkit.text.masking_config import MaskingConfig
    from attnkit.text.tokenizers.base import Tokenizer


@dataclass(frozen=True, slots=True)
class Guess:
    """What may stand in a gap. token: as `Tokenizer.pieces` writes it. probability: the model's, among all tokens but
    the special ones. text: the whole text with it, other gaps filled with what is likeliest there."""

    token: str
    probability: float
    text: str


@dataclass(frozen=True, slots=True)
class Filling:
    """One text whose gaps are filled.

    text: with the likeliest token in each gap. gaps: for each `<mask>` of the text, in order, the likeliest tokens,
    best first, as many as were asked for; a gap may be written as the tokenizer names it too, "[MASK]" say. unknown:
    the words or pieces that the vocabulary does not have.
    """

    text: str
    gaps: tuple[tuple[Guess, ...], ...]
    unknown: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Text:
    """A text on its way through the model: what stands around its gaps, and what the model reads."""

    number: int
    parts: list[str]
    ids: list[int]
    unknown: list[str]


class MaskFiller:
    """A masked language model with its tokenizer. Made by `attnkit.load`."""

    def __init__(self, model: EncoderOnly, tokenizer: Tokenizer, *, precision: Precision = "fp32") -> None:
        """Raises ValueError for a tokenizer without an entry for hidden tokens."""
        check_precision(precision)
        mask_id = tokenizer.reserved_id(MASK_TOKEN)
        if mask_id is None:
            raise ValueError(f"[fill] expected a tokenizer with the reserved entry {MASK_TOKEN}, got none")
        self.model = model
        self.tokenizer = tokenizer
        self.mask_id = mask_id
        self.precision: Precision = precision
        self._never = ~ordinary_tokens(tokenizer)
        self._gap = re.compile("|".join(map(re.escape, tokenizer.masks)))
        layout = model.config.layout
        self._before = [] if layout.first is None else [layout.first]
        self._behind = [] if layout.last is None else [layout.last]

    @classmethod
    def from_directory(cls, directory: ModelDirectory, precision: Precision) -> MaskFiller:
        """For `attnkit.load`. Raises FileNotFoundError or ValueError."""
        text = directory.tokenizers().source
        model = cast("EncoderOnly", directory.load_model(precision))
        directory.check_vocabulary(text.vocab_size)
        return cls(model, text, precision=precision)

    def fill(self, text: str, *, top: int = 1) -> Filling:
        """The likeliest tokens for each `<mask>` of a text; one without a gap stays as it is.

        top: how many for each. Raises ValueError for a text longer than the model reads.
        """
        return next(self.fill_stream([text], top=top))

    def fill_stream(
        self, texts: Iterable[str | Paused], *, top: int = 1, batch_tokens: int = 4096, window: int = 256
    ) -> Iterator[Filling]:
        """`fill` for any number of texts: yields in input order while it reads, `window` texts at a time, or as many as
        there are before a PAUSE (`attnkit.data.arrivals`). batch_tokens: about how many tokens go through the model at
        once.

        Arguments are checked at the call; errors of `texts` itself pass through.
        """
        for name, value in (("top", top), ("batch_tokens", batch_tokens), ("window", window)):
            if value < 1:
                raise ValueError(f"[fill] expected {name} >= 1, got {value}")
        return self._stream(texts, top, batch_tokens, window)

    def evaluate(
        self,
        texts: Iterable[str],
        *,
        masking: MaskingConfig | None = None,
        batch_tokens: int = 4096,
        done: Done = unseen,
    ) -> MaskedReport:
        """How well the model guesses tokens that are hidden from it, by what training measures when it validates.

        masking: which are hidden, always the same ones of the same texts; None is what a training hides that says
        nothing. A text that is longer than the model is read in parts. done: called with the number of hidden tokens
        of each batch once they are guessed. Raises ValueError for texts of which nothing can be hidden.
        """
        from attnkit.distributed import Alone
        from attnkit.tasks.masked_language_model.figures import MaskedReport, guessed
        from attnkit.text.lines import encode_lines
        from attnkit.text.masked_batching import MaskedIterator
        from attnkit.text.masking import Masker
        from attnkit.text.masking_config import MaskingConfig

        if batch_tokens < 1:
            raise ValueError(f"[evaluate] expected batch_tokens >= 1, got {batch_tokens}")
        around = [
            -1 if each is None else each for each in (self.model.config.layout.first, self.model.config.layout.last)
        ]
        room = self.model.config.max_length - len(self._before) - len(self._behind)
        whole = encode_lines(texts, self.tokenizer, room, split_long=True)
        masker = Masker(masking or MaskingConfig(), self.tokenizer, self.mask_id)
        corpus = masker.with_something_to_hide(whole)
        if not len(corpus):
            raise ValueError("[evaluate] expected texts with a token to hide, got none")
        batches = MaskedIterator(corpus, masker, batch_tokens, bos=around[0], eos=around[1], shuffle=False)
        with _tensor.no_grad(), _tensor.precision(self.precision):
            loss, right, hidden = guessed(self.model, batches, done, Alone())
        return MaskedReport(loss, right, hidden, whole.report.kept, len(whole))

    def attention(self, text: str, target: str | None = None) -> AttentionMaps:
        """All that the model looks at in a text, its gaps too: "encoder", the self-attention of all layers and heads;
        see `AttentionMaps`.

        Raises ValueError for a text without a word or longer than the model reads, and for a target, which this model
        has no use for.
        """
        from attnkit.tasks.shared.attention_kinds import look_at_text

        if target is not None:
            raise ValueError("[attention] expected no target: this model fills in each <mask> of a text")
        read = self._read(0, text)
        if len(read.ids) == len(self._before) + len(self._behind):
            raise ValueError("[attention] expected a text with a word, got an empty one")
        unknown = iter(read.unknown)
        names = zip(read.ids, self.tokenizer.pieces(read.ids), strict=True)
        pieces = [next(unknown, piece) if number == self.tokenizer.unk_id else piece for number, piece in names]
        title, output = text.strip(), self.fill(text).text
        return look_at_text(self.model, self.precision, "encoder.", "encoder", title, output, read.ids, pieces)

    def _stream(self, texts: Iterable[str | Paused], top: int, batch_tokens: int, window: int) -> Iterator[Filling]:
        for chunk in windows(texts, window):
            read = [self._read(number, text) for number, text in chunk]
            results = {text.number: Filling(text.parts[0], (), text.unknown) for text in read if len(text.parts) == 1}
            waiting = [text for text in read if len(text.parts) > 1]
            for batch in batches_by_length(waiting, lambda text: len(text.ids), batch_tokens):
                for text, rows in zip(batch, self._probabilities(batch), strict=True):
                    results[text.number] = self._filled(text, rows, top)
            yield from (results[text.number] for text in read)

    def _read(self, number: int, text: str) -> _Text:
        if not isinstance(text, str):
            raise TypeError(f"[fill] expected text in line {number + 1}, got {type(text).__name__}")
        parts = self._gap.split(text.strip())
        with at(f"line {number + 1}"):
            ids = [*self._before, *self.tokenizer.encode_with_gaps(parts), *self._behind]
            longest = self.model.config.max_length
            if len(ids) > longest:
                around = len(self._before) + len(self._behind)
                raise ValueError(
                    f"[fill] expected a text of at most {longest - around} tokens, got {len(ids) - around}"
                )
            has_unknown = self.tokenizer.unk_id in ids
            unknown = [word for part in parts for word in self.tokenizer.unknown(part)] if has_unknown else []
        return _Text(number, parts, ids, unknown)

    def _probabilities(self, texts: Sequence[_Text]) -> list[npt.NDArray[np.float32]]:
        """For each text the probabilities of the tokens in its gaps, [gaps, V]."""
        from attnkit import ops

        ids = np.concatenate([np.array(text.ids, np.int32) for text in texts])
        places = np.flatnonzero(ids == self.mask_id).astype(np.int32)
        offsets = np.cumsum([0, *(len(text.ids) for text in texts)]).astype(np.int32)
        nothing = np.zeros(len(places), np.int32)
        batch = MaskedBatch(ids, offsets, places, nothing, np.arange(len(texts), dtype=np.int32))
        with _tensor.no_grad(), _tensor.precision(self.precision):
            logits = self.model(batch).numpy().copy()
        logits[:, self._never] = -np.inf
        ends = np.cumsum([len(text.parts) - 1 for text in texts])
        return np.split(ops.softmax(logits), ends[:-1])

    def _filled(self, text: _Text, rows: npt.NDArray[np.float32], top: int) -> Filling:
        most = min(top, int(np.count_nonzero(~self._never)))
        order = [np.argsort(-row, kind="stable")[:most] for row in rows]
        best = [self.tokenizer.pieces([int(numbers[0])])[0] for numbers in order]
        gaps = []
        for gap, (numbers, row) in enumerate(zip(order, rows, strict=True)):
            pieces = self.tokenizer.pieces(numbers.tolist())
            wholes = [self._joined(text.parts, [*best[:gap], piece, *best[gap + 1 :]]) for piece in pieces]
            probabilities = (float(row[number]) for number in numbers)
            gaps.append(tuple(map(Guess, pieces, probabilities, wholes)))
        return Filling(self._joined(text.parts, best), tuple(gaps), text.unknown)

    def _joined(self, parts: Sequence[str], pieces: Sequence[str]) -> str:
        """The parts of a text with a token in each gap. A marked piece begins a word; one without a mark, of a
        tokenizer that has them, goes on with the word before it, whatever stood between."""
        text = parts[0]
        for piece, part in zip(pieces, parts[1:], strict=True):
            if piece.startswith(WORD_START):
                space = " " if text and not text[-1].isspace() else ""
                text += space + piece[1:].replace(WORD_START, " ")
            else:
                text = (text.rstrip() if self.tokenizer.marks_words else text) + piece
            text += part
        return text
