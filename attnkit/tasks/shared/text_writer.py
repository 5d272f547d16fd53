"""Writing a text about each of many: what translating and summarizing do alike, whatever their lines are."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast

import msgspec
import numpy as np

from attnkit import _tensor
from attnkit._tensor import Precision, check_precision
from attnkit.data.arrivals import Paused, windows
from attnkit.data.lines import one_line
from attnkit.decoding.options import DecodingOptions, decoding_options
from attnkit.decoding.protocol import S, TextModel, longest_output
from attnkit.decoding.search import Hypothesis, decode
from attnkit.decoding.sources import Packed
from attnkit.decoding.workers import Stop, fair_share, run_batches
from attnkit.devices import device_of
from attnkit.printable import quoted
from attnkit.tasks.shared.by_length import batches_by_length
from attnkit.tasks.shared.directory import SHORTLIST_FILE
from attnkit.tasks.shared.prompts import Prompts
from attnkit.text.forced import Forced
from attnkit.text.tokenizers.tagged import TaggedTokenizer
from attnkit.text.tokenizers.vocabulary import BOS, PAD, UNK

if TYPE_CHECKING:
    from typing import Self

    from attnkit.decoding.defaults import DecodingDefaults
    from attnkit.decoding.shortlist import Shortlist
    from attnkit.tasks.shared.directory import ModelDirectory
    from attnkit.text.tokenizers.base import Tokenizer

# A model without a limit of its own (sinusoidal positions) still reads no more than this of one text: attention costs
# the square of the length, and a file without line ends would take all memory.
LONGEST_SOURCE = 1024

T = TypeVar("T")
R = TypeVar("R")
Read = TypeVar("Read", bound="Source")


class ReadingModel(TextModel[Packed, S], Protocol[S]):
    """A model that reads texts, each with its end token."""

    @property
    def max_source_length(self) -> int | None:
        """The positions of the encoder, that of the end token included; None for no limit."""
        ...


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """A text on its way through the model.

    number: which of the input it is. ids, pieces: what the model reads, with what stands around it; none for an empty
    text. unread: how many tokens more the text has. unknown: what of it, and of the prefix, the vocabulary does not
    have. first: the token that its output begins with, where that is no text. prefix: what its output begins with.
    """

    number: int
    ids: list[int]
    pieces: list[str]
    unread: int
    unknown: list[str]
    first: int | None
    prefix: Forced


class TextWriter:
    """An encoder-decoder with its tokenizers."""

    task = "write"
    """What errors call the task."""

    what = "text"
    """What an error calls one of many."""

    written = "text"
    """What it writes about one."""

    def __init__(
        self,
        model: ReadingModel[Any],
        source_tokenizer: Tokenizer,
        target_tokenizer: Tokenizer,
        *,
        precision: Precision = "fp32",
        max_source_length: int | None = None,
        defaults: DecodingDefaults | None = None,
        shortlist: Shortlist | None = None,
        prompts: Prompts | None = None,
        prompt_decoding: Mapping[str, DecodingDefaults] = MappingProxyType({}),
    ) -> None:
        """`max_source_length` counts pieces and what stands around them; None takes the model's own limit. `defaults`
        hold for what a search leaves open, before those of `DecodingOptions`, and so does `shortlist`. `prompts`: what
        may stand before a text, of a model that reads any; `prompt_decoding`: the defaults behind them, by name."""
        check_precision(precision)
        limit = model.max_source_length or LONGEST_SOURCE
        if max_source_length is not None and not 1 < max_source_length <= limit:
            raise ValueError(f"[translate] expected max_source_length from 2 to {limit}, got {max_source_length}")
        self.model = model
        self.precision: Precision = precision
        self.source_tokenizer = source_tokenizer
        self.target_tokenizer = target_tokenizer
        self.max_source_length = max_source_length or limit
        self.shortlist = shortlist
        self._defaults = defaults
        self._prompts, self._prompt_decoding = prompts, prompt_decoding
        tagged = source_tokenizer if isinstance(source_tokenizer, TaggedTokenizer) else None
        suppress = defaults.suppress if defaults else None
        if suppress is None:
            tags = tagged.ids.values() if tagged and tagged.inner is target_tokenizer else ()
            suppress = (PAD, UNK, BOS, *tags)  # they are no text
        self._suppress = [token for token in suppress if token != model.eos_id]
        self._first = defaults.first if defaults else None

    @classmethod
    def from_directory(cls, directory: ModelDirectory, precision: Precision) -> Self:
        """For `attnkit.load`. Raises FileNotFoundError or ValueError."""
        defaults = directory.decoding
        listed = defaults is not None and bool(defaults.shortlist)
        model = cast("ReadingModel[Any]", directory.load_model(precision, output=not listed))
        tokenizers = directory.tokenizers()
        expected = directory.size("source_vocab_size"), directory.size("target_vocab_size")
        sizes = tokenizers.source.vocab_size, tokenizers.target.vocab_size
        if sizes != expected:
            raise ValueError(
                f"[load] {directory.folder}: expected tokenizers of {expected[0]} and {expected[1]} entries, as the "
                f"model has, got {sizes[0]} and {sizes[1]}"
            )
        if defaults is not None and defaults.first is not None and defaults.first >= expected[1]:
            raise ValueError(f"[load] {directory.folder}: decoding.first: expected a token, got {defaults.first}")
        shortlist = None
        if listed:
            from attnkit.decoding.shortlist import Shortlist

            shortlist = Shortlist.load(directory.folder / SHORTLIST_FILE)
        prompts = None if directory.prompts is None else Prompts(directory.prompts, directory.default_prompt)
        return cls(
            model,
            tokenizers.source,
            tokenizers.target,
            precision=precision,
            defaults=defaults,
            shortlist=shortlist,
            prompts=prompts,
            prompt_decoding=directory.prompt_decoding or {},
        )

    @property
    def prompts(self) -> dict[str, str]:
        """What the model knows to be put before a text, by name; none for a model that is for one thing alone."""
        return {} if self._prompts is None else dict(self._prompts.texts)

    def _prompt(self, prompt: str | None) -> str:
        """What is put before each text."""
        if self._prompts is not None:
            return one_line(self._prompts.named_or_given(prompt, self.task))
        if prompt is not None:
            raise ValueError(
                f"[{self.task}] prompt: expected none, which this model does not read, got {quoted(prompt)}"
            )
        return ""

    @property
    def _room(self) -> int:
        """The most tokens of a text that the model reads, beside those that stand around it."""
        return self.max_source_length - len(self.source_tokenizer.closed([], self.source_tokenizer.eos_id))

    def _chosen(self, search: dict[str, Any], first: bool, prompt: str | None = None) -> DecodingOptions:
        """The options of a search with the model's own defaults, or those of a prompt. first: whether outputs begin
        with a token that is no text. Raises ValueError for a limit that the model does not allow: now, and not after
        the first window."""
        name = self._prompts.default if prompt is None and self._prompts is not None else prompt
        defaults = self._prompt_decoding.get(name, self._defaults) if name is not None else self._defaults
        options = decoding_options(**(search if defaults is None else defaults.merge(search)))
        limit = longest_output(self.model, int(first or self._first is not None))
        options.max_lengths(np.ones(1, np.int32), np.zeros(1, np.int32), limit)
        return options

    def _read_ids(self, text: str, prefix: str = "") -> dict[str, Any]:
        """The fields of `Source` that the tokenizers give; `prefix` is one line."""
        tokenizer = self.source_tokenizer
        ids = tokenizer.encode(text)
        kept = tokenizer.closed(ids[: self._room], tokenizer.eos_id) if ids else []
        forced = Forced.read(prefix, self.target_tokenizer)
        return dict(
            ids=kept,
            pieces=tokenizer.pieces(kept),
            unread=max(0, len(ids) - self._room),
            unknown=(tokenizer.unknown(text) if tokenizer.unk_id in ids else []) + forced.unknown,
            prefix=forced,
        )

    def _written(
        self,
        texts: Iterable[T | Paused],
        length: Callable[[T], int],
        read: Callable[[int, T], Read],
        decode: Callable[[list[Read], Stop], dict[int, R]],
        empty: Callable[[Read], R],
        batch_tokens: int,
        window: int,
    ) -> Iterator[R]:
        """What is written about each text, in order: a window of texts is read and sorted by length, and its batches
        are shared among the workers. length: the characters of a text; empty: what is written about one of none."""
        device = device_of(self.model)
        for chunk in windows(texts, window, length):
            sources = [read(number, text) for number, text in chunk]
            results: dict[int, R] = {}
            share = fair_share(sum(len(source.ids) for source in sources), batch_tokens, device=device)
            batches = list(batches_by_length(sources, lambda source: len(source.ids), share))
            for written in run_batches(decode, batches, device):
                results.update(written)
            for source in sources:
                yield results[source.number] if source.number in results else empty(source)

    def _decode(
        self,
        options: DecodingOptions,
        batch: list[Read],
        stop: Stop,
        *,
        attention: bool,
        shortlist: Shortlist | None = None,
        allowed: int | None = None,
    ) -> Iterator[tuple[Read, list[Hypothesis]]]:
        """The hypotheses of each source of a batch. allowed: a token that may be written, which else may not."""
        with _tensor.no_grad(), _tensor.precision(self.precision):
            found = decode(
                self.model,
                Packed.of([source.ids for source in batch]),
                options,
                attention=attention,
                prefixes=[source.prefix.ids for source in batch],
                first=[source.first for source in batch if source.first is not None] or None,
                suppress=[token for token in self._suppress if token != allowed],
                numbers=[source.number for source in batch],
                what=self.what,
                shortlist=shortlist,
                stop=stop,
            )
        return zip(batch, found, strict=True)
