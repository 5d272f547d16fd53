"""Parts of a model by name."""

from __future__ import annotations

import re

import pytest

from attnkit.models import parts
from attnkit.models.registry import build_model
from attnkit.models.transformer_config import TransformerConfig

MODEL = build_model(TransformerConfig(d_model=8, ffn=8, heads=2, encoder_layers=2, decoder_layers=1), 10, 10)
NAMES = [name for name, _ in MODEL.named_parameters()]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("encoder", r"encoder\."),
        ("encoder.*", r"encoder\."),
        ("encoder.layers.1", r"encoder\.layers\.1\."),
        ("*.layers.[01].feed_forward.up", r".*feed_forward\.up\."),
        ("*.bias", r".*\.bias"),
        ("*_norm.weight", r".*_norm\.weight"),
        ("target_embedding", r"source_embedding\.weight"),  # they are one
        ("*", r".*"),
    ],
)
def test_a_pattern_finds_parameters_by_their_names_and_their_modules(pattern: str, expected: str) -> None:
    wanted = [name for name in NAMES if re.match(expected, name)]
    assert wanted and parts.find(MODEL, pattern) == wanted


@pytest.mark.parametrize(
    ("pattern", "end"),
    [
        ("encodr.*", "got 'encodr.*' (did you mean encoder or decoder or encoder.layers?)"),
        ("encoder.layer.0", "(did you mean encoder.layers.0"),
        ("nonsense!", "got 'nonsense!' (it has source_embedding, target_embedding, encoder, decoder)"),
        ("enc", "got 'enc' ("),  # a name, not the beginning of one
        ("", "got '' (it has "),
    ],
)
def test_what_finds_nothing_is_an_error_with_near_names(pattern: str, end: str) -> None:
    with pytest.raises(ValueError, match=re.escape(end)) as raised:
        parts.find(MODEL, pattern)
    assert str(raised.value).startswith("expected a part of the model, got ")


def test_of_several_factors_the_last_one_counts() -> None:
    found = parts.factors(MODEL, {"encoder": 0.5, "*.bias": 2.0, "encoder.layers.1": 0.25})
    assert found["encoder.layers.0.attention.output.weight"] == 0.5
    assert found["encoder.layers.0.attention.output.bias"] == 2.0
    assert found["encoder.layers.1.attention.output.bias"] == 0.25
    assert found["decoder.layers.0.self_attention.output.bias"] == 2.0
    assert "decoder.layers.0.self_attention.output.weight" not in found
