"""Continuing texts with a language model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any, Unpack, cast

import msgspec
import numpy as np
import numpy.typing as npt

from attnkit import _tensor
from attnkit._tensor import Precision, check_precision
from attnkit.data.arrivals import Paused, windows
from attnkit.decoding.options import DecodingOptions, SearchArguments, decoding_options
from attnkit.decoding.search import Hypothesis, decode
from attnkit.decoding.sources import Nothing
from attnkit.decoding.workers import Stop, fair_share, run_batches
from attnkit.devices import device_of
from attnkit.tasks.shared.by_length import batches_by_length
from attnkit.tasks.shared.places import at
from attnkit.tasks.shared.progress import Done, unseen
from attnkit.text.forced import Forced

if TYPE_CHECKING:
    from attnkit.decoding.defaults import DecodingDefaults
    from attnkit.explain.maps.maps import AttentionMaps
    from attnkit.models.decoder_only import DecoderOnly
    from attnkit.tasks.language_model.perplexity import Perplexity
    from attnkit.tasks.shared.directory import ModelDirectory
    from attnkit.text.tokenizers.base import Tokenizer


class Generation(msgspec.Struct, frozen=True, eq=False):
    """One generated text.

    text: the prompt as it was given, and what the model wrote after it.
    score: the normalised log-probability that hypotheses are compared by, the prompt's tokens counted; in a beam, or
        with a rule about n-grams, by the rules of transformers without them.
    tokens: the pieces of `text`, N of them; the first `prompt_tokens` are the prompt's, an unknown one as it was given.
    context: the start token and all tokens but the last, which is what the model had read when it wrote each. Where a
    model has no start token, the first token of the prompt takes its place, and is none of `tokens`.
    attention: float32 [N, N]: how much each of `context` (row, the query) looked at each of `context` (column, the
    key), itself and those before it; what a row found helped to write the token after it. Of the last layer, averaged
    over heads; rows sum to one; None unless asked for.
    truncated: the text reached max_length before its end.
    alternatives: the second to the nbest-th text, best first (samples as drawn), where nbest > 1.
    unknown: the words or pieces of the prompt that the vocabulary does not have.
    """

    text: str
    score: float
    tokens: list[str]
    prompt_tokens: int
    context: list[str]
    attention: npt.NDArray[np.float32] | None
    truncated: bool = False
    alternatives: tuple[Generation, ...] = ()
    unknown: list[str] = []


class _Prompt(msgspec.Struct, frozen=True):
    """start: what the model reads first. own: whether that is the prompt's first token, for want of a start token."""

    number: int
    given: Forced
    start: int
    own: bool

    @property
    def prefix(self) -> list[int]:
        """What the model is made to write."""
        return self.given.ids[self.own :]

    def text(self, tokens: Sequence[int]) -> list[int]:
        """The ids of the text, of which the model wrote these."""
        return [self.start, *tokens] if self.own else [*tokens]


class Generator:
    """A language model with its tokenizer. Made by `attnkit.load`."""

    def __init__(
        self,
        model: DecoderOnly,
        tokenizer: Tokenizer,
        *,
        precision: Precision = "fp32",
        defaults: DecodingDefaults | None = None,
    ) -> None:
        """`defaults` hold for what a search leaves open, before those of `DecodingOptions`."""
        check_precision(precision)
        self.model = model
        self.tokenizer = tokenizer
        self.precision: Precision = precision
        self._defaults = defaults
        suppress = None if defaults is None else defaults.suppress
        suppress = tokenizer.never_written if suppress is None else suppress
        self._never = [token for token in suppress if token != model.eos_id]

    @classmethod
    def from_directory(cls, directory: ModelDirectory, precision: Precision) -> Generator:
        """For `attnkit.load`. Raises FileNotFoundError or ValueError."""
        model = cast("DecoderOnly", directory.load_model(precision))
        text = directory.tokenizers().source
        directory.check_vocabulary(text.vocab_size)
        return cls(model, text, precision=precision, defaults=directory.decoding)

    def generate(
        self,
        prompts: Iterable[str] = ("",),
        *,
        attention: bool = False,
        batch_tokens: int = 1024,
        **search: Unpack[SearchArguments],
    ) -> list[Generation]:
        """One Generation a prompt, in order; an empty prompt lets the model begin by itself.

        attention: also return what each token that was read looked at; the text is the same with and without.
        batch_tokens: about how many tokens of prompts, a start token each, are continued at once. beam=5, nbest=1,
        sample=False, ...: see `DecodingOptions`; its lengths count the tokens of the prompt too, but for one that takes
        the place of a start token, and max_length=None goes as far as the model. A converted model brings its own
        defaults.
        """
        if isinstance(prompts, str):
            raise TypeError("[generate] expected a list of prompts, got one string")
        prompts = list(prompts)
        arguments: Any = {"attention": attention, "batch_tokens": batch_tokens, **search}
        return list(self.generate_stream(prompts, window=max(1, len(prompts)), **arguments))

    def generate_stream(
        self,
        prompts: Iterable[str | Paused],
        *,
        attention: bool = False,
        batch_tokens: int = 1024,
        window: int = 256,
        **search: Unpack[SearchArguments],
    ) -> Iterator[Generation]:
        """`generate` for input of any length: yields in input order while it reads, `window` prompts at a time, or
        as many as there are before a PAUSE (`attnkit.data.arrivals`).

        Arguments are checked at the call; errors of `prompts` itself pass through.
        """
        for name, value in (("batch_tokens", batch_tokens), ("window", window)):
            if value < 1:
                raise ValueError(f"[generate] expected {name} >= 1, got {value}")
        longest = self.model.max_target_length - 1
        options = decoding_options(**(search if self._defaults is None else self._defaults.merge({**search})))
        # A limit that the model does not allow is an error now, not after the first window.
        options.max_lengths(np.ones(1, np.int32), np.zeros(1, np.int32), longest)
        if options.max_length is None:
            options = msgspec.structs.replace(options, max_length=longest)
        return self._stream(prompts, options, attention, batch_tokens, window)

    def perplexity(self, texts: Iterable[str], *, batch_tokens: int = 4096, done: Done = unseen) -> Perplexity:
        """How well the model foretells texts; see `attnkit.tasks.language_model.perplexity`."""
        from attnkit.tasks.language_model.perplexity import perplexity

        return perplexity(self, texts, batch_tokens, done)

    def ids(self, text: str) -> list[int]:
        """The tokens of a text as the model reads it, without what stands around them."""
        return self._given(text).ids

    def attention(self, text: str, target: str | None = None) -> AttentionMaps:
        """All that the model looks at in a text: "decoder", the self-attention of all layers and heads, whose row of a
        token says where it looked when the model read it, to write the next; see `AttentionMaps`.

        Nothing is generated. target: what goes on from the text, a word of its own. Raises ValueError where there is no
        word, or more than the model reads.
        """
        from attnkit.tasks.shared.attention_kinds import look_at_text

        ids = [] if self.model.config.bos_id is None else [self.model.config.bos_id]
        before, pieces = len(ids), self.tokenizer.pieces(ids)
        for part in (text, target or ""):
            if not isinstance(part, str):
                raise TypeError(f"[attention] expected text, got {type(part).__name__}")
            given = self._given(part)
            ids, pieces = [*ids, *given.ids], [*pieces, *given.pieces(given.ids, self.tokenizer)]
        longest = self.model.max_target_length
        if not before < len(ids) <= longest:
            found = f"{len(ids) - before} tokens" if len(ids) > before else "an empty one"
            raise ValueError(f"[attention] expected a text of 1 to {longest - before} tokens, got {found}")
        title, output = text.strip(), (target or "").strip()
        return look_at_text(self.model, self.precision, "layers.", "decoder", title, output, ids, pieces)

    def _stream(
        self, prompts: Iterable[str | Paused], options: DecodingOptions, attention: bool, batch_tokens: int, window: int
    ) -> Iterator[Generation]:
        device = device_of(self.model)

        def decode(batch: list[_Prompt], stop: Stop) -> dict[int, Generation]:
            return self._decode(batch, options, attention, stop)

        for chunk in windows(prompts, window):
            read = [self._read(number, prompt, options) for number, prompt in chunk]
            results: dict[int, Generation] = {}
            share = fair_share(sum(len(prompt.given.ids) + 1 for prompt in read), batch_tokens, device=device)
            batches = list(batches_by_length(read, lambda prompt: len(prompt.given.ids) + 1, share))
            if _counts_written(options):
                batches = [list(alike) for batch in batches for _, alike in groupby(batch, lambda one: len(one.prefix))]
            for written in run_batches(decode, batches, device):
                results.update(written)
            yield from (results[prompt.number] for prompt in read)

    def _read(self, number: int, prompt: str, options: DecodingOptions) -> _Prompt:
        if not isinstance(prompt, str):
            raise TypeError(f"[generate] expected text in prompt {number + 1}, got {type(prompt).__name__}")
        with at(f"line {number + 1}"):
            given = self._given(prompt)
        own = self.model.config.bos_id is None and bool(given.ids)
        assert options.max_length is not None  # generate_stream has set it
        read = _Prompt(number, given, given.ids[0] if own else self.model.bos_id, own)
        if len(read.prefix) > options.max_length:
            raise ValueError(
                f"[generate] expected a prompt of at most {options.max_length + own} tokens in line {number + 1}, "
                f"got {len(given.ids)}, where max_length is {options.max_length}"
            )
        return read

    def _given(self, text: str) -> Forced:
        return Forced.read(text if self.tokenizer.keeps_space else text.strip(), self.tokenizer)

    def _decode(
        self, prompts: list[_Prompt], options: DecodingOptions, attention: bool, stop: Stop
    ) -> dict[int, Generation]:
        """The results of a batch by number."""
        starts, prefixes = [[prompt.start] for prompt in prompts], [prompt.prefix for prompt in prompts]
        read = len(prefixes[0])
        assert options.max_length is not None  # generate_stream has set it
        if aside := _counts_written(options) and read < options.max_length:
            starts, prefixes = (
                [[*start, *rest] for start, rest in zip(starts, prefixes, strict=True)],
                [[]] * len(starts),
            )
            shortest, longest = max(0, options.min_length - read), options.max_length - read
            options = msgspec.structs.replace(options, min_length=shortest, max_length=longest)
        with _tensor.no_grad(), _tensor.precision(self.precision):
            found = decode(
                self.model,
                Nothing(len(prompts)),
                options,
                prefixes=prefixes,
                starts=starts,
                suppress=self._never,
                numbers=[prompt.number for prompt in prompts],
                what="line",
                stop=stop,
            )
        return {
            prompt.number: self._write(prompt, hypotheses, attention, prompt.prefix if aside else [])
            for prompt, hypotheses in zip(prompts, found, strict=True)
        }

    def _write(self, prompt: _Prompt, hypotheses: list[Hypothesis], attention: bool, before: list[int]) -> Generation:
        """before: what stands before the tokens of the hypotheses."""
        results = []
        for hypothesis in hypotheses:
            written = [*before, *hypothesis.tokens.tolist()]
            read = [prompt.start, *written][: len(written)]
            weights = None
            if attention:
                with _tensor.precision(self.precision):
                    weights = self.model.attention(np.array(read, np.int32))
            tokens = prompt.text(written)
            pieces = prompt.given.pieces(tokens, self.tokenizer)
            first = pieces[:1] if prompt.own else self.tokenizer.pieces([prompt.start])
            pieces = pieces[prompt.own :]
            results.append(
                Generation(
                    text=prompt.given.whole(tokens, self.tokenizer),
                    score=hypothesis.score,
                    tokens=pieces,
                    prompt_tokens=len(prompt.prefix),
                    context=[*first, *pieces][: len(pieces)],
                    attention=weights,
                    truncated=hypothesis.cut,
                    unknown=prompt.given.unknown,
                )
            )
        return msgspec.structs.replace(results[0], alternatives=tuple(results[1:]))


def _counts_written(options: DecodingOptions) -> bool:
    """Whether scores are of what the model writes alone, as those of a beam in transformers are: then the prompts of a
    batch are of one length, and no part of what is searched. So a rule about n-grams sees them as it does there."""
    return options.rules == "transformers" and (options.beam > 1 or options.no_repeat_ngram > 0)
