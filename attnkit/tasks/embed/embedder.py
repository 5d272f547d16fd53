"""Vectors of texts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt

from attnkit import _tensor
from attnkit._tensor import Precision, check_precision
from attnkit.data.arrivals import Paused, windows
from attnkit.tasks.shared.by_length import batches_by_length
from attnkit.tasks.shared.places import at
from attnkit.tasks.shared.prompts import Prompts

if TYPE_CHECKING:
    from attnkit.explain.maps.maps import AttentionMaps
    from attnkit.models.sentence_encoder import SentenceEncoder
    from attnkit.tasks.shared.directory import ModelDirectory, Similarity
    from attnkit.text.tokenizers.base import Tokenizer

BATCH_TOKENS = 4096
"""That go through the model at once."""


@dataclass(frozen=True, slots=True, eq=False)
class Embedding:
    """One text as a vector. vector: float32 [D]. truncated: the text was longer than the model reads, which saw the
    beginning."""

    vector: npt.NDArray[np.float32]
    truncated: bool = False


@dataclass(frozen=True, slots=True)
class _Text:
    """A text on its way through the model, special tokens included."""

    number: int
    ids: list[int]
    truncated: bool


class Embedder:
    """A model that makes vectors of texts, with its tokenizer. Made by `attnkit.load`."""

    def __init__(
        self,
        model: SentenceEncoder,
        tokenizer: Tokenizer,
        *,
        prompts: Mapping[str, str] = MappingProxyType({}),
        default_prompt: str | None = None,
        similarity: Similarity = "cosine",
        precision: Precision = "fp32",
    ) -> None:
        """prompts: what may be put before a text, by name. default_prompt: which of them is where nobody says.
        similarity: how its vectors are meant to be compared. Raises ValueError for a default that is none of the
        prompts."""
        check_precision(precision)
        self.model = model
        self.tokenizer = tokenizer
        self.prompts = dict(prompts)
        self.default_prompt = default_prompt
        self.similarity: Similarity = similarity
        self.precision: Precision = precision
        self._prompt(None)

    @classmethod
    def from_directory(cls, directory: ModelDirectory, precision: Precision) -> Embedder:
        """For `attnkit.load`. Raises FileNotFoundError or ValueError."""
        tokenizer = directory.tokenizers().source
        directory.check_vocabulary(tokenizer.vocab_size)
        loaded: Any = directory.load_model(precision)
        model = cast("SentenceEncoder", loaded.text if directory.reads == "images-and-texts" else loaded)
        return cls(
            model,
            tokenizer,
            prompts=directory.prompts or {},
            default_prompt=directory.default_prompt,
            similarity=directory.similarity or "cosine",
            precision=precision,
        )

    @property
    def width(self) -> int:
        """D, the numbers of a vector."""
        return self.model.width

    def embed(
        self,
        texts: Iterable[str],
        *,
        prompt: str | None = None,
        normalize: bool | None = None,
        batch_tokens: int = BATCH_TOKENS,
    ) -> npt.NDArray[np.float32]:
        """One vector a text: float32 [N, D], in order.

        prompt: the name of what is put before each text, of those in `prompts`; the model's default where not given.
        normalize: whether vectors have length 1; as the model has it where not given. batch_tokens: about how many
        tokens go through the model at once. A text longer than the model reads is cut (`embed_stream` says which).

        A text is read as sentence-transformers reads it: without white space at its ends, and as it is inside. One
        without a word has the vector of the tokens that stand around every text; zeros where there are none. Raises
        ValueError for a prompt that there is none of.
        """
        if isinstance(texts, str):
            raise TypeError("[embed] expected a list of texts, got one string")
        texts = list(texts)
        vectors = np.empty((len(texts), self.width), np.float32)
        window = max(1, len(texts))
        stream = self.embed_stream(texts, prompt=prompt, normalize=normalize, batch_tokens=batch_tokens, window=window)
        for number, result in enumerate(stream):
            vectors[number] = result.vector
        return vectors

    def embed_stream(
        self,
        texts: Iterable[str | Paused],
        *,
        prompt: str | None = None,
        normalize: bool | None = None,
        batch_tokens: int = BATCH_TOKENS,
        window: int = 1024,
    ) -> Iterator[Embedding]:
        """`embed` for input of any length: yields in input order while it reads, `window` texts at a time, or as many
        as there are before a PAUSE (`attnkit.data.arrivals`).

        Arguments are checked at the call; errors of `texts` itself pass through.
        """
        for name, value in (("batch_tokens", batch_tokens), ("window", window)):
            if value < 1:
                raise ValueError(f"[embed] expected {name} >= 1, got {value}")
        normalize = self.model.config.normalize if normalize is None else normalize
        return self._stream(texts, self._prompt(prompt), normalize, batch_tokens, window)

    def attention(self, text: str, target: str | None = None) -> AttentionMaps:
        """All that the model looks at in a text: "encoder", the self-attention of all layers and heads, and "rollout"
        of all layers together; see `AttentionMaps`. Raises ValueError for a target, which this model has no use for."""
        from attnkit.explain.maps.maps import AttentionMaps
        from attnkit.tasks.shared.attention_kinds import look_at_text, rollout

        if target is not None:
            raise ValueError("[attention] expected no target: this model writes no text")
        ids = self._read(0, text, self._prompt(None)).ids
        if not ids:
            raise ValueError("[attention] expected a text with a word, got an empty one")
        pieces = self.tokenizer.pieces(ids)
        maps = look_at_text(self.model, self.precision, "encoder.", "encoder", text.strip(), "", ids, pieces)
        kinds = list(maps.values())
        return AttentionMaps([*kinds, *rollout(kinds)], maps.title, maps.output)

    def _prompt(self, name: str | None) -> str:
        """What is put before a text."""
        return Prompts(self.prompts, self.default_prompt).named(name, "embed")

    def _stream(
        self, texts: Iterable[str | Paused], prompt: str, normalize: bool, batch_tokens: int, window: int
    ) -> Iterator[Embedding]:
        for chunk in windows(texts, window):
            read = [self._read(number, text, prompt) for number, text in chunk]
            vectors: dict[int, npt.NDArray[np.float32]] = {}
            for batch in batches_by_length(read, lambda text: len(text.ids), batch_tokens):
                vectors.update(zip((text.number for text in batch), self._vectors(batch, normalize), strict=True))
            nothing = np.zeros(self.width, np.float32)
            yield from (Embedding(vectors.get(text.number, nothing), text.truncated) for text in read)

    def _read(self, number: int, text: str, prompt: str) -> _Text:
        """As sentence-transformers reads it: without white space at the ends."""
        if not isinstance(text, str):
            raise TypeError(f"[embed] expected text in line {number + 1}, got {type(text).__name__}")
        config = self.model.config
        with at(f"line {number + 1}"):
            ids = self.tokenizer.encode((prompt + text).strip())
        first = [] if config.bos_id is None else [config.bos_id]
        last = [] if config.eos_id is None else [config.eos_id]
        room = config.max_length - len(first) - len(last)
        whole = [*first, *ids[:room], *last]
        if config.fill_id is not None:
            whole += [config.fill_id] * (config.max_length - len(whole))
        return _Text(number, whole, len(ids) > room)

    def _vectors(self, batch: list[_Text], normalize: bool) -> npt.NDArray[np.float32]:
        ids = np.concatenate([np.array(text.ids, np.int32) for text in batch])
        offsets = np.cumsum([0, *(len(text.ids) for text in batch)]).astype(np.int32)
        with _tensor.no_grad(), _tensor.precision(self.precision):
            vectors: npt.NDArray[np.float32] = self.model(ids, offsets).numpy()
        if not normalize:
            return vectors
        lengths: npt.NDArray[np.float32] = np.linalg.norm(vectors, axis=1, keepdims=True)
        return np.divide(vectors, np.maximum(lengths, 1e-12))
