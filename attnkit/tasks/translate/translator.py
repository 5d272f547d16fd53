"""Translating with a model."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Unpack

import msgspec
import numpy as np

from attnkit.data.arrivals import PAUSE, Paused, characters
from attnkit.data.lines import one_line
from attnkit.decoding.options import DecodingOptions, SearchArguments
from attnkit.decoding.workers import Stop
from attnkit.tasks.shared.places import at
from attnkit.tasks.shared.text_writer import ReadingModel, Source, TextWriter
from attnkit.tasks.translate.languages import Direction, Languages
from attnkit.tasks.translate.result import Result
from attnkit.tasks.translate.text import Text
from attnkit.text.forced import Forced
from attnkit.text.languages import split_tag
from attnkit.text.loops import ends_in_loop, has_loop
from attnkit.text.tokenizers.tagged import TaggedTokenizer

if TYPE_CHECKING:
    from typing import Self

    from attnkit._tensor import Precision
    from attnkit.decoding.search import Hypothesis
    from attnkit.decoding.shortlist import Shortlist
    from attnkit.explain.maps.maps import AttentionMaps
    from attnkit.tasks.shared.directory import ModelDirectory
    from attnkit.tasks.translate.paragraphs import Paragraph
    from attnkit.text.kept import Held, Keeper
    from attnkit.text.tokenizers.base import Tokenizer


class _Source(Source, frozen=True, kw_only=True):
    """line, count: what the model reads, with the tag of its language, and how many words the line had as it was given.
    held: what is kept of it."""

    line: str
    count: int
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


class Translator(TextWriter):
    """A translation model with its tokenizers. Made by `attnkit.load`.

    languages: those that it can write, where the corpus had several; none where it had one. A converted model may have
    tags of languages and yet do without.
    source_languages: those that it can read, where it must be told; none where it reads one.
    """

    task, what, written = "translate", "line", "translation"

    def __init__(
        self, model: ReadingModel[Any], source_tokenizer: Tokenizer, target_tokenizer: Tokenizer, **options: Any
    ) -> None:
        """options: those of `TextWriter`."""
        super().__init__(model, source_tokenizer, target_tokenizer, **options)
        self._languages = Languages(source_tokenizer)
        self.languages: tuple[str, ...] = self._languages.targets
        self.source_languages: tuple[str, ...] = self._languages.sources

    @classmethod
    def from_directory(cls, directory: ModelDirectory, precision: Precision) -> Self:
        """For `attnkit.load`: of a translation model, or of one that does what a prompt says, which then is its user's
        to say. Raises FileNotFoundError or ValueError."""
        if directory.task != cls.task:
            if directory.prompts is None:
                raise ValueError(
                    f"[load] {directory.folder}: expected a model of the task {cls.task!r}, got one of "
                    f"{directory.task!r}, which attnkit {directory.task} runs"
                )
            directory = msgspec.structs.replace(directory, default_prompt=None)
        return super().from_directory(directory, precision)

    def translate(
        self,
        lines: Iterable[str],
        *,
        source_language: str | None = None,
        to: str | None = None,
        attention: bool = False,
        prompt: str | None = None,
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
        prompt: what is put before each line, of a model that reads such (T5): the name of one of its `prompts` or the
        text itself, "translate English to German: " say; None puts nothing there.
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
            "prompt": prompt,
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
        prompt: str | None = None,
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
        options = self._chosen({**search}, self._languages.both, prompt)
        before = self._prompt(prompt)
        direction = self._languages.direction(source_language, to)
        if paragraphs and options.nbest > 1:
            raise ValueError(f"[translate] expected nbest 1 with paragraphs, got {options.nbest}")
        listed = self.shortlist if isinstance(shortlist, str) else shortlist
        if batch_tokens is None:
            batch_tokens = 1024 if listed is None else 512
        for name, value in (("batch_tokens", batch_tokens), ("window", window)):
            if value < 1:
                raise ValueError(f"[translate] expected {name} >= 1, got {value}")
        keeper = _keeper(keep) if keep else None
        wanted = _Wanted(attention, copy_unknown and _lacks_some(self.target_tokenizer), keeper)
        stream = functools.partial(
            self._written,
            length=lambda text: characters(text.line),
            read=functools.partial(self._read_text, keeper=keeper, prompt=before),
            decode=functools.partial(self._translated, options, wanted, listed),
            empty=functools.partial(_empty, wanted),
            batch_tokens=batch_tokens,
            window=window,
        )
        texts = _with_prefixes(lines, prefix, direction)
        if not paragraphs:
            return stream(texts)
        from attnkit.tasks.translate.paragraphs import translated

        return translated(texts, functools.partial(self._split, keeper, before), stream)

    def attention(
        self,
        line: str,
        target: str | None = None,
        *,
        source_language: str | None = None,
        to: str | None = None,
        prompt: str | None = None,
        **search: Unpack[SearchArguments],
    ) -> AttentionMaps:
        """All that the model looks at while it translates a line: self-attention of encoder and decoder,
        cross-attention, gates, as it has them, of all layers and heads; see `AttentionMaps`.

        target: the translation; None translates first, as `translate` does with these arguments. Raises ValueError for
        an empty line, and what `translate` raises.
        """
        from attnkit.tasks.shared.pair_attention import look

        text = Text(line, "", 0, self._languages.direction(source_language, to))
        source = self._read_text(0, text, None, self._prompt(prompt))
        if not source.ids:
            raise ValueError("[attention] expected a line with a word, got an empty one")
        if target is None:
            options: Any = {"source_language": source_language, "to": to, "prompt": prompt, **search}
            target = self.translate([line], **options)[0].text
        Text(line, target, 0, text.direction).check()
        ids = Forced.read(one_line(target.strip()), self.target_tokenizer).ids
        return look(self, line.strip(), target, source.ids, ids, source.first)

    def _split(self, keeper: Keeper | None, prompt: str, text: Text) -> tuple[Paragraph, list[Text]]:
        """The sentences of a line; what its tag says of languages holds for each."""
        from attnkit.tasks.translate.paragraphs import Paragraph

        text.check()
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
            return len(self.source_tokenizer.encode(prompt + self._languages.read(direction, part, name)[0])) <= longest

        with at(name):
            paragraph = Paragraph.read(line, fits, head, keeper.shadow(line) if keeper else None)
        prefixes = itertools.chain([text.prefix], itertools.repeat(""))
        parts = zip(paragraph.sentences, prefixes, strict=False)
        return paragraph, [Text(sentence, prefix, text.place, direction) for sentence, prefix in parts]

    def _read_text(self, number: int, text: Text, keeper: Keeper | None, prompt: str = "") -> _Source:
        text.check()
        line = one_line(text.line.strip())  # as in training
        held = None if keeper is None else keeper.hold(line)
        if held is not None:
            line = held.masked
        count, name = len(line.split()), f"line {text.place + 1}"
        line, first = self._languages.read(text.direction, line, name)
        if first is None:
            first = self._first
        if count:
            line = prompt + line
        with at(name):
            read = self._read_ids(line, one_line(text.prefix.strip()))
        return _Source(number=number, line=line, first=first, count=count, held=held, **read)

    def _translated(
        self,
        options: DecodingOptions,
        wanted: _Wanted,
        shortlist: Shortlist | None,
        batch: list[_Source],
        stop: Stop,
    ) -> dict[int, Result]:
        """The results of a batch by line."""
        unknown = self.target_tokenizer.unk_id if wanted.copy_unknown else None
        found = self._decode(options, batch, stop, attention=wanted.attends, shortlist=shortlist, allowed=unknown)
        return {source.number: self._write(source, hypotheses, wanted) for source, hypotheses in found}

    def _write(self, source: _Source, hypotheses: list[Hypothesis], wanted: _Wanted) -> Result:
        words = self._words_read(source) if wanted.attends else []
        results = [self._write_one(source, hypothesis, words, wanted) for hypothesis in hypotheses]
        return results[0] if len(results) == 1 else msgspec.structs.replace(results[0], alternatives=tuple(results[1:]))

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
            target_words=self._words_written(text, ids, source) if wanted.attends else [],
            looped=ends_in_loop(tokens) and not has_loop(source.pieces),
        )
        if source.held is not None:
            result = _with_kept(result, source.held)
        if wanted.attends and not wanted.attention:
            result = msgspec.structs.replace(result, attention=None, source_words=[], target_words=[])
        return result

    def _copy(
        self, source: _Source, hypothesis: Hypothesis, source_words: list[int], tokens: list[str]
    ) -> tuple[str, list[str]]:
        """Text and tokens with words of the source for unknown ones."""
        from attnkit.text.copied import copies, filled

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
        from attnkit.text.word_pieces import words_read

        tokenizer = self.source_tokenizer
        words = words_read(tokenizer, source.line, tokenizer.encode(source.line))
        # The line and what the tokenizer calls its words may differ by a tag, and by a prompt, whose words are none.
        read = split_tag(source.line)[1] if isinstance(tokenizer, TaggedTokenizer) else source.line
        tags = source.count - len(read.split())
        around = len(tokenizer.closed([0], -1)) - 1  # what the model reads beside the line's own tokens
        kept = words[: len(source.ids) - around]
        # The tag that is read stands in the line as a word of it, or was added, or is of the line's own language.
        shown = [-1 if word < 0 and self._languages.both else max(-1, word + tags) for word in kept]
        return tokenizer.closed(shown, -1)

    def _words_written(self, text: str, ids: list[int], source: _Source) -> list[int]:
        """The word of a translation of each of its ids."""
        from attnkit.text.word_pieces import words_written

        return words_written(self.target_tokenizer, text, ids, source.prefix)


def _keeper(keep: str | Sequence[str]) -> Keeper:
    from attnkit.text.kept import Keeper

    return Keeper([keep] if isinstance(keep, str) else keep)


def _lacks_some(tokenizer: Tokenizer) -> bool:
    """Whether anything can be unknown to a tokenizer."""
    from attnkit.text.copied import knows_all

    return not knows_all(tokenizer)


def _empty(wanted: _Wanted, source: _Source) -> Result:
    """Of a line without a word that the model reads."""
    text = source.held.line if source.held else ""
    return Result(text, 0.0, [], np.zeros((0, 0), np.float32) if wanted.attention else None, [])


def _with_kept(result: Result, held: Held) -> Result:
    """The result with what is kept in its text. Its tokens stay those of the model, which knows other text for it."""
    text, words, unkept = held.restore(result.text, result.word_attention())
    return msgspec.structs.replace(
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
