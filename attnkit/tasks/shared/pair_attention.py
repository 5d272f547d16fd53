"""Everything that an encoder-decoder looks at, for a text and what it writes about it, made or given."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from attnkit import _tensor, nn
from attnkit.explain.maps.maps import AttentionMaps
from attnkit.explain.maps.weights import AttentionWeights
from attnkit.tasks.shared.attention_kinds import cross_attention, self_attention
from attnkit.tasks.shared.recurrent_kinds import gates, one_head_attention, own_past
from attnkit.text.batching import Batch

if TYPE_CHECKING:
    from attnkit.tasks.shared.text_writer import TextWriter

SOURCE = "source (read)"


class _Tokens(NamedTuple):
    """What an axis is, and its tokens."""

    axis: str
    tokens: Sequence[str]


def look(
    writer: TextWriter,
    title: str,
    output: str,
    source: Sequence[int],
    target: Sequence[int],
    first: int | None,
) -> AttentionMaps:
    """The attention of a whole pair in one pass: source ids with their end token, target ids without.

    first: the token that stands before the output, where a model says its language so.
    """
    model: Any = writer.model
    before = [model.bos_id] if first is None else [model.bos_id, first]
    inputs = [*before, *target]
    labels = [*inputs[1:], model.eos_id]
    batch = _batch(source, inputs, labels)
    read = _Tokens(SOURCE, writer.source_tokenizer.pieces(source))
    history = _Tokens(f"{writer.written} so far (read)", writer.target_tokenizer.pieces(inputs))
    written = _Tokens(f"{writer.written} (written)", writer.target_tokenizer.pieces(labels))
    kinds = _of_recurrent if model.config.__struct_config__.tag == "recurrent" else _of_transformer
    with _tensor.no_grad(), _tensor.precision(writer.precision):
        return AttentionMaps(kinds(model, batch, read, history, written), title, output)


def _of_transformer(
    model: Any, batch: Batch, read: _Tokens, history: _Tokens, written: _Tokens
) -> list[AttentionWeights]:
    with nn.watching(model) as seen:
        model.hidden(batch)
    return [
        *self_attention(seen, "encoder.", "encoder", read.tokens, SOURCE),
        *self_attention(seen, "decoder.", "decoder", history.tokens, history.axis),
        *cross_attention(seen, "decoder.", written.tokens, read.tokens, (written.axis, SOURCE)),
        *gates(seen, "decoder.", history.tokens, history.axis, "gates.decoder"),
    ]


def _of_recurrent(
    model: Any, batch: Batch, read: _Tokens, history: _Tokens, written: _Tokens
) -> list[AttentionWeights]:
    # Encoder and decoder are watched apart: they may be one network.
    with nn.watching(model.encoder) as reading:
        encoded = model.encode(batch.source_ids, batch.source_offsets)
    with nn.watching(model.decoder) as writing:
        words = model.target_embedding(batch.target_input_ids)
        model.decoder(words, batch.target_offsets, encoded, batch.source_offsets)
    order = model.encoder.order(batch.source_offsets)
    return [
        *own_past(reading, "", read.tokens, SOURCE, order),
        *one_head_attention(writing, "", written.tokens, read.tokens, (written.axis, SOURCE)),
        *gates(reading, "", read.tokens, SOURCE, "gates", order),
        *gates(writing, "", history.tokens, history.axis, "gates.decoder"),
    ]


def _batch(source: Sequence[int], inputs: Sequence[int], labels: Sequence[int]) -> Batch:
    def ids(values: Sequence[int]) -> np.ndarray:
        return np.array(values, np.int32)

    return Batch(
        source_ids=ids(source),
        source_offsets=ids([0, len(source)]),
        target_input_ids=ids(inputs),
        target_labels=ids(labels),
        target_offsets=ids([0, len(inputs)]),
        indices=ids([0]),
        tokens=len(labels),
        sentences=1,
    )
