"""Translating with a model."""

from __future__ import annotations

import dataclasses
import functools
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol, Unpack, cast

import numpy as np

from attnkit import _tensor
from attnkit._tensor import Precision, check_precision
from attnkit.data.arrivals import PAUSE, Paused, characters, windows
from attnkit.data.lines import one_line
from attnkit.decoding.options import DecodingOptions, SearchArguments, decoding_options
from attnkit.decoding.protocol import S, TextModel, longest_output
from attnkit.decoding.sources import Packed
from attnkit.decoding.workers import Stop, fair_share, run_batches
from attnkit.tasks.shared.by_length import batches_by_length
from attnkit.tasks.shared.directory import SHORTLIST_FILE
from attnkit.tasks.shared.places import at
from attnkit.tasks.translate.languages import Direction, Languages
from attnkit.tasks.translate.paragraphs import Paragraph, Text, translated
from attnkit.tasks.translate.result import Result
from attnkit.text.copied import copies, filled, knows_all
from attnkit.text.forced import Forced
from attnkit.text.kept import Held, Keeper
from attnkit.text.languages import split_tag
from attnkit.text.loops import ends_in_loop, has_loop
from attnkit.text.tokenizers.tagged import TaggedTokenizer
from attnkit.text.tokenizers.vocabulary import BOS, PAD, UNK
from attnkit.text.word_pieces import words_read, words_written

if TYPE_CHECKING:
    from attnkit.decoding.defaults import DecodingDefaults
    from attnkit.decoding.search import Hypothesis
    from attnkit.decoding.shortlist import Shortlist
    from attnkit.explain.maps.maps import AttentionMaps
    from attnkit.tasks.shared.directory import ModelDirectory
    from attnkit.text.tokenizers.base import Tokenizer

# A model without a limit of its own (sinusoidal positions) still reads no more than this of one line: attention costs
# the square of the length, and a file without line ends would take all memory.
LONGEST_SOURCE = 1024


class TranslationModel(TextModel[Packed, S], Protocol[S]):
    """A model that reads sentences, each with its end token."""

    @property
    def max_source_length(self) -> int | None:
        """The positions of the encoder, that of the end token included; None for no limit."""
        ...


@dataclass(frozen=True, slots=True)
class _Source:
    """A line on its way through the model; `ids` ends with the end token, and is empty for an empty line.

    line, count: what the model reads, with the tag of its language, and how many words the line had as it was given.
    first: the token that its output begins with, where that says the language.
    """

    number: int
    line: str
    first: int | None
    count: int
    ids: list[int]
    pieces: list[str]
    prefix: Forced
    unread: int
    unknown: list[str]
    held: Held | None


class _Wanted(NamedTuple):
    """What is wanted of each translation beside its text."""

    attention: bool
    copy_unknown: bool
    keeper: Keeper | None

    @property
    def attends(self) -> bool:
        """Whether the attention has to be known."""
        return self.attention or self.copy_unknown or self.keeper is not None


class Translator:
    """A translation model with its tokenizers. Made by `attnkit.load`.

    languages: those that it can write, where the corpus had several; none where it had one. A converted model may have
    tags of languages and yet do without.
    source_languages: those that it can read, where it must be told; none where it reads one.
    """

    def __init__(
        self,
        model: TranslationModel[Any],
        source_tokenizer: Tokenizer,
        target_tokenizer: Tokenizer,
        *,
        precision: Precision = "fp32",
        max_source_length: int | None = None,
        defaults: DecodingDefaults | None = None,
        shortlist: Shortlist | None = None,
    ) -> None:
        """`max_source_length` counts pieces and the end token; None takes the model's own limit. `defaults` hold for
        what a call of `translate` leaves open, before those of `DecodingOptions`, and so does `shortlist`."""
        check_precision(precision)
        limit = model.max_source_length or LONGEST_SOURCE
        if max_source_length is not None and not 1 < max_source_length <= limit:
            raise ValueError(f"[translate] expected max_source_length from 2 to {limit}, got {max_source_length}")
        self.model = model
        self.precision: Precision = precision
        self.source_tokenizer = source_tokenizer
        self.target_tokenizer = target_tokenizer
        self.max_source_length = max_source_length or limit
        self._defaults = defaults
        self.shortlist = shortlist
        tagged = source_tokenizer if isinstance(source_tokenizer, TaggedTokenizer) else None
        self._languages = Languages(source_tokenizer)
        self.languages: tuple[str, ...] = self._languages.targets
        self.source_languages: tuple[str, ...] = self._languages.sources
        suppress = defaults.suppress if defaults else None
        if suppress is None:
            tags = tagged.ids.values() if tagged and tagged.inner is target_tokenizer else ()
            suppress = (PAD, UNK, BOS, *tags)  # they are no text
        self._suppress = [token for token in suppress if token != model.eos_id]
        self._first = defaults.first if defaults else None

    @classmethod
    def from_directory(cls, directory: ModelDirectory, precision: Precision) -> Translator:
        """For `attnkit.load`. Raises FileNotFoundError or ValueError."""
        tokenizers = directory.tokenizers()
        defaults = directory.decoding
        listed = defaults is not None and bool(defaults.shortlist)
        model = cast("TranslationModel[Any]", directory.load_model(precision, output=not listed))
        expected = directory.size("source_vocab_size"), directory.size("target_vocab_size")
        sizes = tokenizers.source.vocab_size, tokenizers.target.vocab_size
        if sizes != expected:
            raise ValueError(
                f"[load] {directory.folder}: expected tokenizers of {expected[0]} and {expected[1]} entries, as the "
                f"model has, got {sizes[0]} and {sizes[1]}"
            )
        shortlist = None
        if listed:
            from attnkit.decoding.shortlist import Shortlist

            shortlist = Shortlist.load(directory.folder / SHORTLIST_FILE)
        return cls(
            model, tokenizers.source, tokenizers.target, precision=precision, defaults=defaults, shortlist=shortlist
        )

    def translate(
        self,
        lines: Iterable[str],
        *,
        source_language: str | None = None,
        to: str | None = None,
        attention: bool = False,
        prefix: str | Sequence[str] | None = None,
        paragraphs: bool = False,
        copy_unknown: bool = False,
        keep: str | Sequence[str] = (),
        batch_tokens: int | None = None,
        shortlist: Shortlist | Literal["own"] | None = "own",
        **search: Unpack[SearchArguments],
    ) -> list[Result]:
        """One Result a line, in order. An empty line gives an empty Result, its attention of shape [0, 0].

        to: the language to write, of a model that has several (`languages`); a line may also say it by a tag of its
        own, such as ">>de<<" at its start, and then goes by that. The model's own name of it, or an ISO code that means
        one of them ("de" for "deu_Latn").
        source_language: the language of the lines, of a model that reads several (`source_languages`); None takes the
        one that the model brings with it, if it does.
        attention: also return the cross-attention; the text is the same with and without.
        prefix: what every translation starts with, or one such text for each line; an empty line stays empty. It stands
        in the translation as it is given, words that the vocabulary does not have too.
        paragraphs: lines are paragraphs: each is split into sentences, which are translated one by one and joined with
        the white space, quotes and bullets that stood between them. A sentence that is too long for the model is split
        too, and not cut. A prefix is that of the first sentence. See `Result.sentences`; nbest is 1.
        copy_unknown: the model may write the unknown token, and the source word that it attends to most stands there.
        A model that spells what it does not know as bytes has no such token.
        keep: what matches stands in the translation as it stands in the line: a regular expression, "tags",
        "placeholders", "numbers", or several of these. The model reads other text for it, which its tokens and its
        attention then show; see `attnkit.text.kept`.
        batch_tokens: about how many source tokens go through the model at once; None takes 1024, with a shortlist 512,
        which then is as fast and needs less memory.
        shortlist: leaves target tokens that a sentence can hardly need out of account; see `shortlist_source`. "own" is
        that of the model, where it brings one; None takes none.
        beam=5, nbest=1, min_length=1, max_length=None, ...: see `DecodingOptions`.
        """
        if isinstance(lines, str):
            raise TypeError("[translate] expected a list of lines, got one string")
        lines = list(lines)
        if prefix is not None and not isinstance(prefix, str) and len(prefix) != len(lines):
            raise ValueError(f"[translate] expected a prefix for each of {len(lines)} lines, got {len(prefix)}")
        window = max(1, len(lines))
        arguments: Any = {
            "source_language": source_language,
            "to": to,
            "attention": attention,
            "prefix": prefix,
            **search,
        }
        arguments |= {"paragraphs": paragraphs, "copy_unknown": copy_unknown, "keep": keep}
        arguments |= {"batch_tokens": batch_tokens, "shortlist": shortlist}
        return list(self.translate_stream(lines, window=window, **arguments))

    def translate_stream(
        self,
        lines: Iterable[str | Paused],
        *,
        source_language: str | None = None,
        to: str | None = None,
        attention: bool = False,
        prefix: str | Iterable[str] | None = None,
        paragraphs: bool = False,
        copy_unknown: bool = False,
        keep: str | Sequence[str] = (),
        batch_tokens: int | None = None,
        shortlist: Shortlist | Literal["own"] | None = "own",
        window: int = 2048,
        **search: Unpack[SearchArguments],
    ) -> Iterator[Result]:
        """`translate` for input of any length: yields in input order while it reads.

        `window` lines are read at a time and sorted by length, so that a batch holds sentences of one length; at a
        PAUSE (`attnkit.data.arrivals`) among the lines, what has been read is translated at once. Arguments are checked
        at the call; errors of `lines` itself pass through.
        """
        merged: Any = search if self._defaults is None else self._defaults.merge({**search})
        options = decoding_options(**merged)
        direction = self._languages.direction(source_language, to)
        if paragraphs and options.nbest > 1:
            raise ValueError(f"[translate] expected nbest 1 with paragraphs, got {options.nbest}")
        listed = self.shortlist if isinstance(shortlist, str) else shortlist
        if batch_tokens is None:
            batch_tokens = 1024 if listed is None else 512
        for name, value in (("batch_tokens", batch_tokens), ("window", window)):
            if value < 1:
                raise ValueError(f"[translate] expected {name} >= 1, got {value}")
        # A limit that the model does not allow is an error now, not after the first window.
        limit = longest_output(self.model, int(self._languages.both or self._first is not None))
        options.max_lengths(np.ones(1, np.int32), np.zeros(1, np.int32), limit)
        keeper = Keeper([keep] if isinstance(keep, str) else keep) if keep else None
        wanted = _Wanted(attention, copy_unknown and not knows_all(self.target_tokenizer), keeper)
        decode = functools.partial(self._decode, options, wanted, listed)
        stream = functools.partial(self._stream, decode=decode, wanted=wanted, batch_tokens=batch_tokens, window=window)
        texts = _with_prefixes(lines, prefix, direction)
        return translated(texts, functools.partial(self._split, keeper), stream) if paragraphs else stream(texts)

    def attention(
        self,
        line: str,
        target: str | None = None,
        *,
        source_language: str | None = None,
        to: str | None = None,
        **search: Unpack[SearchArguments],
    ) -> AttentionMaps:
        """All that the model looks at while it translates a line: self-attention of encoder and decoder,
        cross-attention, gates, as it has them, of all layers and heads; see `AttentionMaps`.

        target: the translation; None translates first, as `translate` does with these arguments. Raises ValueError for
        an empty line, and what `translate` raises.
        """
        from attnkit.tasks.translate.attention import look

        text = Text(line, "", 0, self._languages.direction(source_language, to))
        source = self._read_text(0, text, None)
        if not source.ids:
            raise ValueError("[attention] expected a line with a word, got an empty one")
        if target is None:
            options: Any = {"source_language": source_language, "to": to, **search}
            target = self.translate([line], **options)[0].text
        _check_text(Text(line, target, 0, text.direction))
        ids = Forced.read(one_line(target.strip()), self.target_tokenizer).ids
        return look(self, line.strip(), target, source.ids, ids, source.first)

    def _stream(
        self,
        texts: Iterable[Text | Paused],
        decode: Callable[[list[_Source], Stop], dict[int, Result]],
        wanted: _Wanted,
        batch_tokens: int,
        window: int,
    ) -> Iterator[Result]:
        for chunk in windows(texts, window, lambda text: characters(text.line)):
            sources = [self._read_text(number, text, wanted.keeper) for number, text in chunk]
            results: dict[int, Result] = {}
            share = fair_share(sum(len(source.ids) for source in sources), batch_tokens)
            batches = list(batches_by_length(sources, lambda source: len(source.ids), share))
            for written in run_batches(decode, batches):
                results.update(written)
            empty = Result("", 0.0, [], np.zeros((0, 0), np.float32) if wanted.attention else None, [])
            for source in sources:
                kept = dataclasses.replace(empty, text=source.held.line) if source.held else empty
                yield results.get(source.number, kept)

    def _split(self, keeper: Keeper | None, text: Text) -> tuple[Paragraph, list[Text]]:
        """The sentences of a line; what its tag says of languages holds for each."""
        _check_text(text)
        line, name = one_line(text.line), f"line {text.place + 1}"
        self._languages.read(text.direction, line.strip(), name)  # a language that there is not is one of the line
        direction, head = self._languages.said(text.direction, line)
        longest = self._room

        def fits(part: str) -> bool:
            if keeper is not None and (held := keeper.hold(part)) is not None:
                part = held.masked
            # No piece is so long: a text that is much longer need not be cut into pieces to know.
            if len(part) > 64 * longest:
                return False
            return len(self.source_tokenizer.encode(self._languages.read(direction, part, name)[0])) <= longest

        with at(name):
            paragraph = Paragraph.read(line, fits, head, keeper.shadow(line) if keeper else None)
        prefixes = itertools.chain([text.prefix], itertools.repeat(""))
        parts = zip(paragraph.sentences, prefixes, strict=False)
        return paragraph, [Text(sentence, prefix, text.place, direction) for sentence, prefix in parts]

    @property
    def _room(self) -> int:
        """The most tokens of a line that the model reads, beside those that stand around it."""
        return self.max_source_length - len(self.source_tokenizer.closed([], self.source_tokenizer.eos_id))

    def _as_read(self, line: str) -> str:
        """A line with the white space that the model has learnt."""
        return one_line(line.strip())

    def _read_text(self, number: int, text: Text, keeper: Keeper | None) -> _Source:
        _check_text(text)
        line = self._as_read(text.line)
        held = None if keeper is None else keeper.hold(line)
        if held is not None:
            line = held.masked
        count, name = len(line.split()), f"line {text.place + 1}"
        line, first = self._languages.read(text.direction, line, name)
        with at(name):
            return self._read(number, line, self._first if first is None else first, count, text.prefix, held)

    def _read(self, number: int, line: str, first: int | None, count: int, prefix: str, held: Held | None) -> _Source:
        ids = self.source_tokenizer.encode(line)
        unknown = self.source_tokenizer.unknown(line) if self.source_tokenizer.unk_id in ids else []
        longest = self._room
        kept = self.source_tokenizer.closed(ids[:longest], self.source_tokenizer.eos_id) if ids else []
        forced = Forced.read(one_line(prefix.strip()), self.target_tokenizer)
        return _Source(
            number=number,
            line=line,
            first=first,
            count=count,
            ids=kept,
            pieces=self.source_tokenizer.pieces(kept),
            prefix=forced,
            unread=max(0, len(ids) - longest),
            unknown=unknown + forced.unknown,
            held=held,
        )

    def _decode(
        self,
        options: DecodingOptions,
        wanted: _Wanted,
        shortlist: Shortlist | None,
        batch: list[_Source],
        stop: Stop,
    ) -> dict[int, Result]:
        """The results of a batch by line."""
        from attnkit.decoding.search import decode

        unknown = self.target_tokenizer.unk_id if wanted.copy_unknown else None
        with _tensor.no_grad(), _tensor.precision(self.precision):
            found = decode(
                self.model,
                Packed.of([source.ids for source in batch]),
                options,
                attention=wanted.attends,
                prefixes=[source.prefix.ids for source in batch],
                first=[source.first for source in batch if source.first is not None] or None,
                suppress=[token for token in self._suppress if token != unknown],
                numbers=[source.number for source in batch],
                what="line",
                shortlist=shortlist,
                stop=stop,
            )
        return {
            source.number: self._write(source, hypotheses, wanted)
            for source, hypotheses in zip(batch, found, strict=True)
        }

    def _write(self, source: _Source, hypotheses: list[Hypothesis], wanted: _Wanted) -> Result:
        words = self._words_read(source) if wanted.attends else []
        results = [self._write_one(source, hypothesis, words, wanted) for hypothesis in hypotheses]
        return results[0] if len(results) == 1 else dataclasses.replace(results[0], alternatives=tuple(results[1:]))

    def _write_one(self, source: _Source, hypothesis: Hypothesis, source_words: list[int], wanted: _Wanted) -> Result:
        ids, target = hypothesis.tokens.tolist(), self.target_tokenizer
        tokens = source.prefix.pieces(ids, target)
        if wanted.copy_unknown and target.unk_id in ids[len(source.prefix.ids) :]:
            text, tokens = self._copy(source, hypothesis, source_words, tokens)
        else:
            text = source.prefix.whole(ids, target)
        result = Result(
            text=text,
            score=hypothesis.score,
            tokens=tokens,
            attention=hypothesis.attention,
            source_tokens=source.pieces,
            truncated=source.unread > 0 or hypothesis.cut,
            unread=source.unread,
            unknown=source.unknown,
            source_words=source_words,
            target_words=words_written(target, text, ids, source.prefix) if wanted.attends else [],
            looped=ends_in_loop(tokens) and not has_loop(source.pieces),
        )
        if source.held is not None:
            result = _with_kept(result, source.held)
        if wanted.attends and not wanted.attention:
            result = dataclasses.replace(result, attention=None, source_words=[], target_words=[])
        return result

    def _copy(
        self, source: _Source, hypothesis: Hypothesis, source_words: list[int], tokens: list[str]
    ) -> tuple[str, list[str]]:
        """Text and tokens with words of the source for unknown ones."""
        ids, reader, count = hypothesis.tokens.tolist(), self.source_tokenizer, len(source.prefix.ids)
        assert hypothesis.attention is not None
        places = [place for place in range(count, len(ids)) if ids[place] == self.target_tokenizer.unk_id]
        unknown = dict(
            zip(np.flatnonzero(np.array(source.ids) == reader.unk_id).tolist(), source.unknown, strict=False)
        )
        given = source.line.split()[-source.count :]  # without a tag that the caller's language became
        texts = copies(hypothesis.attention[places], source.pieces, source_words, given, unknown)
        for place, text in zip(places, texts, strict=True):
            tokens[place] = text
        return filled(self.target_tokenizer, ids, source.prefix, texts), tokens

    def _words_read(self, source: _Source) -> list[int]:
        """The word of the line, as it was given, of each of the source's ids."""
        tokenizer = self.source_tokenizer
        words = words_read(tokenizer, source.line, tokenizer.encode(source.line))
        # The line and what the tokenizer calls its words may differ by a tag.
        read = split_tag(source.line)[1] if isinstance(tokenizer, TaggedTokenizer) else source.line
        tags = source.count - len(read.split())
        around = len(tokenizer.closed([0], -1)) - 1  # what the model reads beside the line's own tokens
        kept = words[: len(source.ids) - around]
        # The tag that is read stands in the line as a word of it, or was added, or is of the line's own language.
        shown = [-1 if word < 0 and self._languages.both else word + tags for word in kept]
        return tokenizer.closed(shown, -1)


def _with_kept(result: Result, held: Held) -> Result:
    """The result with what is kept in its text. Its tokens stay those of the model, which knows other text for it."""
    text, words, unkept = held.restore(result.text, result.word_attention())
    return dataclasses.replace(
        result,
        text=text,
        unkept=unkept,
        source_words=[held.source_words[word] if word >= 0 else word for word in result.source_words],
        target_words=[words[word] if word >= 0 else word for word in result.target_words],
    )


def _with_prefixes(
    lines: Iterable[str | Paused], prefix: str | Iterable[str] | None, direction: Direction
) -> Iterator[Text | Paused]:
    prefixes = itertools.repeat(prefix or "") if prefix is None or isinstance(prefix, str) else iter(prefix)
    place = 0
    for line in lines:
        if line is PAUSE:
            yield PAUSE
        elif (start := next(prefixes, None)) is None:
            raise ValueError("[translate] expected a prefix for each line, got fewer")
        else:
            yield Text(line, start, place, direction)
            place += 1
    if not isinstance(prefixes, itertools.repeat) and next(prefixes, None) is not None:
        raise ValueError("[translate] expected a prefix for each line, got more")


def _check_text(text: Text) -> None:
    for part in (text.line, text.prefix):
        if not isinstance(part, str):
            raise TypeError(f"[translate] expected text in line {text.place + 1}, got {type(part).__name__}")
