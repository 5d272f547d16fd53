"""The reference of Marian's models that tests are held to agrees with itself, and every option changes what it says."""

from __future__ import annotations

from typing import Any

import marian_files as files
import numpy as np
import pytest
from marian_reference import MarianReference

SOURCE = [7, 3, 19, 7, 0]
SHAPES: dict[str, dict[str, Any]] = {
    "student": files.config(),
    "deep": files.config(enc_depth=3, dec_depth=2, transformer_heads=4),
    "swish": files.config(transformer_ffn_activation="swish"),
    "gelu": files.config(transformer_ffn_activation="gelu"),
    "three layers of feed-forward": files.config(transformer_ffn_depth=3),
    "pre-norm": files.config() | files.PRE_NORM,
    "self-attention": files.config() | files.SELF_ATTENTION,
    "pre-norm self-attention": files.config(dec_depth=2) | files.SELF_ATTENTION | files.PRE_NORM,
    "output tied": files.config(tied_embeddings_all=False, tied_embeddings=True, dim_vocabs=[40, 48]),
    "sources tied": files.config(tied_embeddings_all=False, tied_embeddings_src=True),
    "untied": files.config(tied_embeddings_all=False, dim_vocabs=[40, 48]),
}


@pytest.mark.parametrize("name", SHAPES)
def test_each_shape_of_model_reads_its_tensors_and_nothing_else(name: str) -> None:
    options = SHAPES[name]
    read: set[str] = set()

    class Noticing(dict[str, Any]):
        def __getitem__(self, key: str) -> Any:
            read.add(key)
            return super().__getitem__(key)

    tensors = files.random_marian_model(options, seed=3)
    model = MarianReference(tensors, options)
    model.tensors = Noticing(model.tensors)
    logits = model.logits(model.encode(SOURCE), [5, 9])
    assert logits.shape == (3, 48) and np.isfinite(logits).all()
    assert read == set(tensors)


@pytest.mark.parametrize("name", ["student", "self-attention", "pre-norm self-attention"])
def test_a_prefix_says_the_same_whatever_follows(name: str) -> None:
    model = MarianReference(files.random_marian_model(SHAPES[name]), SHAPES[name])
    memory = model.encode(SOURCE)
    long = model.logits(memory, [5, 9, 11, 2])
    np.testing.assert_allclose(model.logits(memory, [5, 9]), long[:3], rtol=1e-12)
    assert np.abs(model.logits(memory, [5, 10])[2] - long[2]).max() > 1e-3


def test_each_option_changes_the_logits() -> None:
    tensors = files.random_marian_model(SHAPES["student"])
    seen = []
    for changes in (
        {}, {"transformer_heads": 4}, {"transformer_ffn_activation": "swish"}, {"transformer_ffn_activation": "gelu"},
    ):  # fmt: skip
        model = MarianReference(tensors, files.config(**changes))
        seen.append(model.logits(model.encode(SOURCE), [5])[1])
    assert all(np.abs(a - b).max() > 1e-6 for i, a in enumerate(seen) for b in seen[:i])


def test_an_old_output_matrix_lies_the_other_way() -> None:
    options = SHAPES["untied"]
    new, old = (files.random_marian_model(options, legacy_output=legacy) for legacy in (False, True))
    old["decoder_ff_logit_out_W"] = new["decoder_ff_logit_out_Wt"].T.copy()
    for name in set(new) & set(old):
        old[name] = new[name]
    ours, theirs = (MarianReference(tensors, options).logits(np.ones((2, 16)), [3]) for tensors in (new, old))
    np.testing.assert_array_equal(ours, theirs)


def test_greedy_search_ends_and_keeps_to_a_shortlist() -> None:
    options = SHAPES["student"]
    tensors = files.random_marian_model(options)
    model = MarianReference(tensors, options)
    free = model.translate(SOURCE, longest=12)
    assert 0 < len(free) <= 12 and 0 not in free and 1 not in free
    assert set(model.translate(SOURCE, 12, allowed=[0, 1, 8, 9])) <= {8, 9}
    tensors["decoder_ff_logit_out_b"][0, 0] += 100.0
    assert MarianReference(tensors, options).translate(SOURCE, longest=12) == []


def test_the_reference_is_the_mathematics_of_one_layer_written_out() -> None:
    """A student of one layer and one head by hand, for a source of one token: attention is its value then."""
    options = files.config(enc_depth=1, dec_depth=1, transformer_heads=1)
    w = {name: tensor.astype(np.float64) for name, tensor in files.random_marian_model(options, seed=5).items()}

    def norm(x: Any, prefix: str) -> Any:
        return (x - x.mean()) / np.sqrt(x.var() + 1e-6) * w[f"{prefix}_ln_scale"][0] + w[f"{prefix}_ln_bias"][0]

    def feed_forward(x: Any, prefix: str) -> Any:
        up = np.maximum(x @ w[f"{prefix}_W1"] + w[f"{prefix}_b1"][0], 0)
        return norm(x + up @ w[f"{prefix}_W2"] + w[f"{prefix}_b2"][0], f"{prefix}_ffn")

    def value(x: Any, seen: Any, prefix: str) -> Any:
        v = seen @ w[f"{prefix}_Wv"] + w[f"{prefix}_bv"][0]
        return norm(x + v @ w[f"{prefix}_Wo"] + w[f"{prefix}_bo"][0], f"{prefix}_Wo")

    first = np.repeat([0.0, 1.0], 8)  # position 0: sine 0, cosine 1
    x = 4.0 * w["Wemb"][9] + first
    memory = feed_forward(value(x, x, "encoder_l1_self"), "encoder_l1_ffn")
    gate = 1 / (1 + np.exp(-(first @ w["decoder_l1_rnn_Wf"] + w["decoder_l1_rnn_bf"][0])))
    y = norm(first + np.maximum((1 - gate) * (first @ w["decoder_l1_rnn_W"]), 0), "decoder_l1_rnn_ffn")
    y = feed_forward(value(y, memory, "decoder_l1_context"), "decoder_l1_ffn")
    model = MarianReference(w, options)
    np.testing.assert_allclose(model.encode([9])[0], memory, rtol=1e-9)
    expected = y @ w["Wemb"].T + w["decoder_ff_logit_out_b"][0]
    np.testing.assert_allclose(model.logits(model.encode([9]), [])[0], expected, rtol=1e-9)
