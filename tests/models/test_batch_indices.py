"""The arrays of a batch are Indices, made with it. Models hand them on: a step copies only what it makes itself."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import attnkit
from attnkit import Indices, decoding, nn, ops
from attnkit._tensor import index_array
from attnkit.models.decoder_only import DecoderOnly
from attnkit.models.decoder_only_config import DecoderOnlyConfig
from attnkit.models.recurrent import Recurrent
from attnkit.models.recurrent_config import RecurrentConfig
from attnkit.models.transformer import Transformer
from attnkit.models.transformer_classifier import TransformerClassifier
from attnkit.models.transformer_classifier_config import TransformerClassifierConfig
from attnkit.models.transformer_config import TransformerConfig
from attnkit.models.vit import ViT
from attnkit.models.vit_config import ViTConfig
from attnkit.text.batching import Batch
from attnkit.text.document_batching import DocumentBatch
from attnkit.vision.targets import CaptionBatch, ImageBatch

SOURCE, TARGET = np.array([0, 3, 5, 9], np.int32), np.array([0, 4, 6, 7], np.int32)
IMAGES = np.random.default_rng(0).random((3, 8, 8, 3), np.float32)


def ids(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(4, 11, count).astype(np.int32)


def pairs() -> Batch:
    return Batch(ids(9), SOURCE, ids(7, 1), ids(7, 2), TARGET, np.arange(3, dtype=np.int32), 7, 3)


def documents() -> DocumentBatch:
    return DocumentBatch(ids(9), SOURCE, np.array([0, 1, 3], np.int32), np.array([1, 0]), np.arange(2, dtype=np.int32))


def captions() -> CaptionBatch:
    return CaptionBatch(IMAGES, ids(7, 1), ids(7, 2), TARGET, np.arange(3, dtype=np.int32), 7)


def pictures() -> ImageBatch:
    return ImageBatch(IMAGES, np.array([1, 0, 2]), np.array([2, 0, 1]), np.full(3, 0.3, np.float32))


def known(array: np.ndarray) -> bool:
    """Whether ops take the array without a copy."""
    return isinstance(array, np.ndarray) and Indices(array).numpy().ctypes.data == array.ctypes.data


@pytest.mark.parametrize(
    ("batch", "names"),
    [
        (pairs(), "source_ids source_offsets target_input_ids target_labels target_offsets"),
        (documents(), "ids sentence_offsets document_offsets labels"),
        (captions(), "target_input_ids target_labels target_offsets"),
        (pictures(), "labels other_labels"),
        (decoding.Packed.of([[4, 5], [6]]), "ids offsets"),
        (decoding.Regions(attnkit.tensor(np.zeros((4, 2))), np.array([0, 4]), (2, 2)), "offsets"),
    ],
    ids=lambda x: "" if isinstance(x, str) else type(x).__name__,
)
def test_batches_make_indices_once(batch: Any, names: str) -> None:
    for name in names.split():
        array = getattr(batch, name)
        assert array.dtype == np.int32 and known(array), name
        with pytest.raises(ValueError, match="read-only"):
            array[:] = 0
    if not isinstance(batch, decoding.Regions):
        again = pickle.loads(pickle.dumps(batch))
        for name in names.split():
            np.testing.assert_array_equal(getattr(again, name), getattr(batch, name))


def test_a_batch_does_not_change_with_the_arrays_it_was_made_of() -> None:
    offsets = np.array([0, 2])
    packed = decoding.Packed(ids(2), offsets.astype(np.int32))
    source = ids(9)
    batch = Batch(source, SOURCE, ids(7), ids(7), TARGET, np.arange(3, dtype=np.int32), 7, 3)
    before = source.copy()
    source[:] = 0
    np.testing.assert_array_equal(batch.source_ids, before)
    assert packed.lengths.tolist() == [2]


@pytest.mark.parametrize("labels", [np.full((3, 3), 1 / 3, np.float32), np.eye(3, dtype=np.int32)])
def test_distributions_over_classes_stay_as_they_are(labels: np.ndarray) -> None:
    assert ImageBatch(IMAGES, labels).labels is labels


TINY = dict(d_model=8, ffn=16, heads=2)
MODELS: dict[str, tuple[Callable[[], Any], Callable[[], Any], set[str]]] = {
    "transformer": (
        lambda: Transformer(TransformerConfig(**TINY, encoder_layers=2, decoder_layers=2), 11, 11),  # type: ignore[arg-type]
        pairs,
        {"position_ids"},
    ),
    "language model": (
        lambda: DecoderOnly(DecoderOnlyConfig(**TINY, layers=2), 11),  # type: ignore[arg-type]
        pairs,
        {"position_ids"},
    ),
    "recurrent": (
        lambda: Recurrent(RecurrentConfig(embedding_size=8, hidden_size=8), 11, 11),
        pairs,
        {"ids", "rows", "labels"},  # of the sentences that were sorted
    ),
    "classifier": (
        lambda: TransformerClassifier(TransformerClassifierConfig(**TINY, layers=2), 11, 2),  # type: ignore[arg-type]
        documents,
        {"position_ids"},
    ),
    "vit": (
        lambda: ViT(ViTConfig(image_size=8, patch_size=4, channels=3, layers=2, **TINY), classes=3),  # type: ignore[arg-type]
        pictures,
        {"rows"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", MODELS)
def test_a_step_copies_only_what_it_makes(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    make, batch, made = MODELS[name]
    model, given = make(), batch()
    copied: list[str] = []

    def watched(values: Any, what: str) -> Indices:
        indices = Indices(values, what)
        if not (isinstance(values, Indices) or known(values)):
            copied.append(what)
        return indices

    monkeypatch.setattr(ops, "Indices", watched)
    model.loss(given).loss.backward()
    assert set(copied) <= made


LAYERS: dict[str, Callable[[Any, Any], Any]] = {
    "transformer encoder": lambda x, o: nn.TransformerEncoder(1, 8, 2, 16)(x, o),
    "self-attention": lambda x, o: nn.SelfAttention(8, 2)(x, o),
    "cross-attention": lambda x, o: nn.CrossAttention(8, 2)(x, o, x, o),
    "gru": lambda x, o: nn.GRU(8, 4, bidirectional=True)(x, o)[0],
    "lstm": lambda x, o: nn.LSTM(8, 4)(x, o)[0],
    "lstmn": lambda x, o: nn.LSTMN(8, 4)(x, o)[0],
    "attention pooling": lambda x, o: nn.AttentionPooling(8, 4)(x, o),
    "mean pooling": lambda x, o: nn.MeanPooling()(x, o),
    "bahdanau": lambda x, o: _attended(nn.AdditiveScore(8, 8, 4), x, o),
    "location": lambda x, o: _attended(nn.LocationScore(8, 16), x, o),
}


def _attended(score: Any, x: Any, offsets: Any) -> Any:
    attention = nn.Attention(score, nn.SoftmaxNormaliser())
    return attention(x, attention.prepare(x, offsets), offsets).context


@pytest.mark.parametrize("name", LAYERS)
def test_layers_take_indices_as_they_take_arrays(name: str) -> None:
    x = attnkit.tensor(np.random.default_rng(0).standard_normal((9, 8)))
    results = []
    for kind in np.asarray, index_array, Indices:
        attnkit.manual_seed(1)
        results.append(LAYERS[name](x, kind(SOURCE)).numpy())
    for other in results[1:]:
        np.testing.assert_array_equal(other, results[0])


def test_models_take_indices_as_they_take_arrays() -> None:
    model = MODELS["transformer"][0]().eval()
    source, target = (ids(9), SOURCE), (ids(7), TARGET)
    results = []
    for kind in np.asarray, Indices:
        memory = model.encode(*map(kind, source))
        results.append(model.decode(*map(kind, target), memory, kind(SOURCE)).numpy())
    np.testing.assert_array_equal(*results)
    packed = decoding.Packed(Indices(ids(9)), Indices(SOURCE))  # type: ignore[arg-type]
    assert known(packed.ids) and packed.lengths.tolist() == [3, 2, 4]
