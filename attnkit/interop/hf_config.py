"""What the configurations of Hugging Face's translation models have in common: reading them, the layers, the search."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from msgspec import Meta

from attnkit import typed
from attnkit.decoding.defaults import DecodingDefaults
from attnkit.interop.compressed import check_pointer
from attnkit.models.config import Activation, Layers, NotNegative, Positive, Rate
from attnkit.models.transformer_config import TransformerConfig
from attnkit.printable import quoted
from attnkit.reading import read_file

CONFIG_FILE, GENERATION_FILE = "config.json", "generation_config.json"
Tie = Literal["all", "decoder", "none"]
Ids = NotNegative | tuple[NotNegative, ...]
T = TypeVar("T")

HiddenAct = Literal[
    "relu", "gelu", "silu", "swish", "gelu_new", "gelu_pytorch_tanh", "gelu_fast", "quick_gelu", "gelu_python"
]
"""The activations of transformers that are ours too."""

ACTIVATIONS: dict[str, Activation] = {
    "relu": "relu", "gelu": "gelu", "silu": "silu", "swish": "silu", "gelu_new": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh", "gelu_fast": "gelu_tanh", "quick_gelu": "quick_gelu",
    "gelu_python": "gelu",
}  # fmt: skip

# Settings of a search that attnkit does not have, and the values with which they do nothing.
_WITHOUT_EFFECT: dict[str, tuple[Any, ...]] = {
    "do_sample": (False,),
    "encoder_repetition_penalty": (1.0,),
    "encoder_no_repeat_ngram_size": (0,),
    "diversity_penalty": (0.0,),
    "num_beam_groups": (1,),
    "min_new_tokens": (),
    "suppress_tokens": (),
    "begin_suppress_tokens": (),
    "exponential_decay_length_penalty": (),
    "sequence_bias": (),
}


class Seq2SeqConfig(msgspec.Struct, frozen=True, kw_only=True):
    """The architecture that these models share. A file may leave out what has the default of Hugging Face transformers:
    a subclass gives its own."""

    vocab_size: Positive
    d_model: Positive = 1024
    encoder_layers: Layers = 12
    decoder_layers: Layers = 12
    encoder_ffn_dim: Positive = 4096
    decoder_ffn_dim: Positive = 4096
    encoder_attention_heads: Positive = 16
    decoder_attention_heads: Positive = 16
    activation_function: HiddenAct
    max_position_embeddings: Annotated[int, Meta(ge=3, le=2**24)] = 1024
    scale_embedding: bool
    tie_word_embeddings: bool = True
    dropout: Rate = 0.1
    attention_dropout: Rate
    activation_dropout: Rate = 0.0
    eos_token_id: Ids
    bos_token_id: NotNegative | None = None
    decoder_start_token_id: NotNegative | None

    @property
    def tie(self) -> Tie:
        """Which embeddings are one matrix."""
        return "all" if self.tie_word_embeddings else "none"

    @property
    def target_vocab_size(self) -> int:
        return self.vocab_size

    def options(self) -> dict[str, Any]:
        """What a model has of its own, as fields of `TransformerConfig`."""
        return {}

    def to_transformer(self, generation: GenerationConfig) -> TransformerConfig:
        """The same architecture as one of ours."""
        eos = self.eos_token_id if generation.eos_token_id is None else generation.eos_token_id
        known = (generation.decoder_start_token_id, self.decoder_start_token_id, self.bos_token_id)
        start = next((token for token in known if token is not None), None)
        if start is None:
            raise ValueError("decoder_start_token_id: expected a token, got none")
        keys: dict[str, Any] = dict(
            d_model=self.d_model,
            ffn=self.encoder_ffn_dim,
            heads=self.encoder_attention_heads,
            decoder_ffn=self.decoder_ffn_dim if self.decoder_ffn_dim != self.encoder_ffn_dim else None,
            decoder_heads=self.decoder_attention_heads
            if self.decoder_attention_heads != self.encoder_attention_heads
            else None,
            encoder_layers=self.encoder_layers,
            decoder_layers=self.decoder_layers,
            dropout=self.dropout,
            attention_dropout=self.attention_dropout,
            activation_dropout=self.activation_dropout,
            activation=ACTIVATIONS[self.activation_function],
            tie_embeddings=self.tie,
            scale_embeddings=self.scale_embedding,
            positions="sinusoidal-halves",
            max_length=self.max_position_embeddings,
            bos_id=start,
            eos_id=only(eos, "eos_token_id"),
        )
        return TransformerConfig(**keys | self.options())


class GenerationConfig(msgspec.Struct, frozen=True):
    """How transformers' `generate` searches."""

    num_beams: Positive | None = None
    max_length: Positive | None = None
    max_new_tokens: Positive | None = None
    min_length: Annotated[int, Meta(ge=0)] | None = None
    length_penalty: float | None = None
    no_repeat_ngram_size: Annotated[int, Meta(ge=0)] | None = None
    repetition_penalty: Annotated[float, Meta(gt=0)] | None = None
    renormalize_logits: bool | None = None
    bad_words_ids: tuple[tuple[NotNegative, ...], ...] | None = None
    early_stopping: bool | Literal["never"] | None = None
    eos_token_id: Ids | None = None
    decoder_start_token_id: NotNegative | None = None
    forced_bos_token_id: NotNegative | None = None
    forced_eos_token_id: Ids | None = None

    def to_defaults(self, positions: int, vocab_size: int, language: bool = False) -> DecodingDefaults:
        """The same search as one of ours. Lengths there count the start token, the one that an output is forced to
        begin with, and the end; ours count none of these.

        language: the token that an output begins with is that of its language, which is not the search's to say.

        `positions` is how long a target can be, start token included; transformers' own limit of 20, where nothing is
        said, would only cut translations.
        """
        first = None if language else self.forced_bos_token_id
        if first is not None and first >= vocab_size:
            raise ValueError(f"forced_bos_token_id: expected an id below {vocab_size}, got {first}")
        before = 2 if language or first is not None else 1
        longest = positions - before - 1
        # There an output is cut with its end where that is forced, and else without.
        around = before + (self.forced_eos_token_id is not None)
        if self.max_new_tokens is not None:
            longest = self.max_new_tokens + 1 - around
        elif self.max_length is not None:
            longest = self.max_length - around
        shortest = max(0, (self.min_length or 0) - before)
        return self.search(vocab_size, shortest, max(1, min(longest, positions - before)), first=first)

    def search(self, vocab_size: int, min_length: int, max_length: int | None, **more: Any) -> DecodingDefaults:
        """The same search as one of ours, with lengths as ours count them, and `more` fields of it as they are given.
        This is the one place that says what their settings are called here."""
        suppress = tuple(only(word, "bad_words_ids") for word in self.bad_words_ids or ())
        if bad := [token for token in suppress if token >= vocab_size]:
            raise ValueError(f"bad_words_ids: expected ids below {vocab_size}, got {bad[0]}")
        defaults = DecodingDefaults(
            beam=self.num_beams or 1,
            min_length=min_length,
            max_length=max_length,
            length_penalty=1.0 if self.length_penalty is None else self.length_penalty,
            normalization="average",
            rules="transformers",
            early_stopping=self.early_stopping or None,
            forced_end=False if self.forced_eos_token_id is None else None,
            renormalize=bool(self.renormalize_logits),
            no_repeat_ngram=self.no_repeat_ngram_size or 0,
            repetition_penalty=None if self.repetition_penalty == 1 else self.repetition_penalty,
            suppress=suppress,
        )
        return msgspec.structs.replace(defaults, **more)


def read_architecture(
    folder: Path, model_type: str, architecture: str, kind: type[T], stack: str = ""
) -> tuple[dict[str, Any], T]:
    """The table of config.json, and what it says. stack: the class without an output layer, where that is taken too,
    whose output is the embeddings' matrix. Raises FileNotFoundError, or ValueError that names the file."""
    file = folder / CONFIG_FILE
    table = read_table(file)
    if table.get("model_type") != model_type:
        raise ValueError(
            f'[convert] {file}: expected the model_type "{model_type}", got {quoted(table.get("model_type"))}'
        )
    architectures = table.get("architectures")
    if architectures is not None and architectures not in ([architecture], [stack]):
        raise ValueError(f'[convert] {file}: expected the architecture "{architecture}", got {quoted(architectures)}')
    return table, decode(table, kind, file)


def read_generation(
    folder: Path, table: dict[str, Any], kind: type[T], task: str = ""
) -> tuple[Path, dict[str, Any], T]:
    """The file that says how to search, its table, and what it says: generation_config.json, or config.json, the table
    of which is given, for checkpoints from before there was another. What config.json says of a task alone, under
    task_specific_params, counts more, as in transformers' pipelines."""
    file, more = folder / CONFIG_FILE, task_params(folder, table).get(task, {})
    if not isinstance(more, dict):
        raise ValueError(f"[convert] {file}: expected an object under task_specific_params.{task}, got {quoted(more)}")
    if (folder / GENERATION_FILE).exists():
        file = folder / GENERATION_FILE
        table = read_table(file)
    table = {**table, **more}
    return file, table, decode(table, kind, file)


def task_params(folder: Path, table: dict[str, Any]) -> dict[str, Any]:
    """The settings by task of config.json, the table of which is given. Raises ValueError for what is no object."""
    tasks = table.get("task_specific_params") or {}
    if not isinstance(tasks, dict):
        file = folder / CONFIG_FILE
        raise ValueError(f"[convert] {file}: expected an object under task_specific_params, got {quoted(tasks)}")
    return tasks


def settled(
    config: Seq2SeqConfig, generation: GenerationConfig, file: Path, language: bool = False
) -> tuple[TransformerConfig, DecodingDefaults]:
    """Both as ours. `file` is where the settings of the search stand, `language` as for `to_defaults`."""
    try:
        defaults = generation.to_defaults(config.max_position_embeddings, config.target_vocab_size, language)
        if generation.eos_token_id is not None:
            only(generation.eos_token_id, "eos_token_id")
    except ValueError as error:
        raise ValueError(f"[convert] {file}: {error}") from None
    try:
        return config.to_transformer(generation), defaults
    except ValueError as error:
        raise ValueError(f"[convert] {file.parent / CONFIG_FILE}: {error}") from None


def left_out_of_search(
    table: dict[str, Any], file: Path, more: Mapping[str, tuple[Any, ...]] | None = None
) -> list[str]:
    """A line for each setting of the search that attnkit does not follow. more: such settings of a family, with the
    values with which they do nothing."""
    return [
        f"{file}: {name} = {quoted(table[name])} is left out, which attnkit's search does not have"
        for name, values in {**_WITHOUT_EFFECT, **(more or {})}.items()
        if table.get(name) is not None and table[name] not in values
    ]


def read_table(file: Path) -> dict[str, Any]:
    """A JSON object. Raises FileNotFoundError or ValueError."""
    if not file.is_file():
        raise FileNotFoundError(f"[convert] {file}: no such file; {file.parent} is no whole checkpoint")
    try:
        return typed.from_json(read_content(file), dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"[convert] {file}: expected a JSON object ({error})") from None


def read_content(file: Path) -> bytes:
    """The content of a file. Raises ValueError for what git leaves where git-lfs is not installed."""
    content = read_file(file)
    check_pointer(content, file)
    return content


def decode(table: dict[str, Any], kind: type[T], file: Path) -> T:
    """Raises ValueError, naming the file and the key."""
    try:
        return typed.convert(table, kind)
    except msgspec.ValidationError as error:
        raise ValueError(f"[convert] {file}: {error}") from None


def only(ids: int | tuple[int, ...], name: str) -> int:
    if isinstance(ids, int):
        return ids
    if len(ids) != 1:
        raise ValueError(f"{name}: expected one token, got {list(ids)}")
    return ids[0]
