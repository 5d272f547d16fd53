"""Converted CTranslate2 models compute what CTranslate2 itself computes; what is broken or not supported ends in one
line that names the file. Packages of Argos Translate's are such models with a tokenizer."""

from __future__ import annotations

import importlib.util
import json
import shutil
import struct
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ctranslate2_files as files
import numpy as np
import pytest
from command_line import attnkit_run
from ctranslate2_files import Shape, Variables

import attnkit
from attnkit import ops
from attnkit._core import cpu_info, int8_parts
from attnkit.decoding.options import DecodingOptions
from attnkit.decoding.search import Hypothesis, decode
from attnkit.decoding.sources import Packed
from attnkit.interop import convert
from attnkit.interop.ctranslate2_file import CTranslate2File

MARIAN = Shape(pre_norm=False, tie="all", zero_start=True, positions="halves", activation=files.SWISH, end=3.0)
SHAPES = {
    "OpenNMT": Shape(end=2.0),
    "Marian": MARIAN,
    "two vocabularies, output tied": Shape(rows=(96, 90), tie="decoder", positions="paper", end=3.0, seed=1),
    "uneven, learned positions, norm of embeddings": Shape(
        heads=(2, 4), ffn=(24, 40), layers=(3, 1), positions="learned", embedding_norm=True, scale=False, end=2.0
    ),
    "gated, RMS norms, no biases": Shape(gated=True, rms=True, activation=files.GELU, biases=False),
    "Marian's gelu, one is the scale": Shape(activation=files.GELU_SIGMOID, scale=1.0, end=2.0),
    "older models' scale, all tied": Shape(activation=files.GELU_TANH, scale=None, tie="all", end=3.0),
    "first heads of another layer": Shape(alignment=(0, 1), layers=(1, 3), pre_norm=False),
    "mean of all heads of another layer": Shape(alignment=(1, 0), layers=(1, 3)),
}
LONGEST = 40  # tokens of a translation
KINDS = ("float32", "float16", "bfloat16", "int16", "int8")

# Without an instruction for products of bytes CTranslate2 adds two of them up in 16 bits, which overflow: its scores
# are then up to 1.2 from those that it computes of the same bytes in float32, from which ours are 0.04 away. So on such
# a CPU both scores and translations are held to its float32.
EXACT_PEER = cpu_info()["vnni"]
INT8_PEER = "int8" if EXACT_PEER else "float32"


class Pair:
    """A folder of CTranslate2's, and ours made of it. tokens: of random lines, without what stands around them."""

    def __init__(self, theirs: Path, precision: Any = None) -> None:
        self.folder = theirs
        self.directory = theirs.parent / f"{theirs.name}-ours"
        self.converted = convert(theirs, self.directory)
        self.ours = attnkit.load(self.directory, precision=precision, task="translate")
        rng = np.random.default_rng(1)
        sources, targets = (self._texts(rng, each) for each in (self.ours.source_tokenizer, self.ours.target_tokenizer))
        self.sources, self.targets = sources, targets

    def _texts(self, rng: np.random.Generator, tokenizer: Any) -> list[list[str]]:
        pieces = [piece for piece in tokenizer.vocabulary.pieces if piece and piece[0] != "<"]
        return [[pieces[i] for i in rng.integers(0, len(pieces), n)] for n in rng.integers(1, 12, 30)]

    def ids(self) -> list[list[int]]:
        tokenizer = self.ours.source_tokenizer
        ids = ([tokenizer.vocabulary.ids[token] for token in line] for line in self.sources)
        return [tokenizer.closed(line, tokenizer.eos_id) for line in ids]

    def scores(self) -> list[np.ndarray]:
        """The log-probabilities of each target's tokens and its end."""
        model, ids = self.ours.model, self.ours.target_tokenizer.vocabulary.ids
        found = []
        with attnkit.precision(self.ours.precision), attnkit.no_grad():
            for source, target in zip(self.ids(), self.targets, strict=True):
                labels = [*(ids[token] for token in target), model.eos_id]
                inputs = np.array([model.bos_id, *labels[:-1]], np.int32)
                offsets, ends = np.array([0, len(source)], np.int32), np.array([0, len(inputs)], np.int32)
                memory = model.encode(np.array(source, np.int32), offsets)
                logits = model.logits(model.decode(inputs, ends, memory, offsets))
                found.append(ops.log_softmax(logits).numpy()[np.arange(len(labels)), labels])
        return found

    def search(self, **options: Any) -> list[Hypothesis]:
        merged = self.ours._defaults.merge(options)
        with attnkit.precision(self.ours.precision), attnkit.no_grad():
            found = decode(
                self.ours.model, Packed.of(self.ids()), DecodingOptions(**merged), suppress=self.ours._suppress,
                attention=True,
            )  # fmt: skip
        return [hypotheses[0] for hypotheses in found]

    def words(self, **options: Any) -> list[list[str]]:
        return [self.ours.target_tokenizer.pieces(each.tokens.tolist()) for each in self.search(**options)]


class Peer:
    """CTranslate2 on the same folder, in the type of its weights (int16 and the halves as float32, as here)."""

    def __init__(self, pair: Pair, kind: str = "float32", ends: bool = False) -> None:
        ctranslate2 = pytest.importorskip("ctranslate2")
        compute_type = INT8_PEER if kind == "int8" else "float32"
        self.translator = ctranslate2.Translator(
            str(pair.folder), compute_type=compute_type, inter_threads=1, intra_threads=1
        )
        self.sources = [[*line, "</s>"] for line in pair.sources] if ends else pair.sources
        self.targets = pair.targets
        self.never = [[token] for token in ("<s>", "<blank>") if token in pair.ours.target_tokenizer.vocabulary.ids]

    def scores(self) -> list[np.ndarray]:
        found = self.translator.score_batch(self.sources, self.targets)
        return [np.array(each.log_probs) for each in found]

    def search(self, **options: Any) -> list[Any]:
        found: list[Any] = self.translator.translate_batch(
            self.sources, return_scores=True, disable_unk=True, suppress_sequences=self.never,
            max_decoding_length=LONGEST, return_attention=True, **options,
        )  # fmt: skip
        return found


def pair_of(tmp_path: Path, shape: Shape, kind: str = "float32") -> Pair:
    files.write_folder(tmp_path / "theirs", shape, kind)
    return Pair(tmp_path / "theirs")


# ----- What CTranslate2 computes


def check_scores(pair: Pair, kind: str, ends: bool, rounds: bool = True) -> None:
    ours, theirs = pair.scores(), Peer(pair, kind, ends).scores()
    differences = [np.abs(a - b).max() for a, b in zip(ours, theirs, strict=True)]
    if kind != "int8":
        assert max(differences) < 1e-4
        return
    # The products are the same integers. But inputs are rounded, and where float32 sums them in another order one in
    # thousands falls to the other side: a step of 1/127 of the largest input, which the norms behind it keep about as
    # large. Lines where that does not happen agree as float32 does.
    assert max(differences) < 0.1
    # From models of before version 5 CTranslate2 knows that their inputs were cut, not rounded; ours are rounded.
    assert not rounds or not EXACT_PEER or np.median(differences) < 1e-4


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", SHAPES)
def test_forced_scores(shape: str, kind: str, tmp_path: Path) -> None:
    pair = pair_of(tmp_path, SHAPES[shape], kind)
    assert pair.ours.precision == ("int8" if kind == "int8" else "fp32")
    check_scores(pair, kind, SHAPES[shape].zero_start)


@pytest.mark.parametrize("kind", KINDS)
def test_its_own_writer(kind: str, tmp_path: Path) -> None:
    """A model that CTranslate2's specification wrote, which finds by itself what is tied."""
    write_by_specification(tmp_path / "theirs", MARIAN, kind)
    pair = Pair(tmp_path / "theirs")
    assert (pair.converted.config.tie_embeddings, pair.converted.left_out) == ("all", [])
    check_scores(pair, kind, ends=True)
    check_translations(pair, kind, ends=True)


def write_by_specification(folder: Path, shape: Shape, kind: str) -> None:
    ctranslate2 = pytest.importorskip("ctranslate2")
    from ctranslate2.specs.model_spec import index_spec

    if kind == "bfloat16":
        pytest.importorskip("torch")
    spec = ctranslate2.specs.TransformerSpec.from_config(
        shape.layers, shape.heads[0], pre_norm=shape.pre_norm, activation=ctranslate2.specs.Activation(shape.activation)
    )
    variables, aliases = files.random_model(shape)
    for name, array in {**variables, **{alias: variables[name] for alias, name in aliases.items()}}.items():
        if array.ndim:
            scope, _, end = name.rpartition("/")
            setattr(index_spec(spec, scope), end, array)
    spec.decoder.start_from_zero_embedding = shape.zero_start
    spec.register_source_vocabulary(files.vocabulary(shape.rows[0]))
    spec.register_target_vocabulary(files.vocabulary(shape.rows[1]))
    spec.validate()
    spec.optimize(quantization=kind)
    folder.mkdir()
    spec.save(str(folder))
    (folder / "sentencepiece.model").write_bytes(files.spm())


def check_translations(pair: Pair, kind: str, ends: bool) -> None:
    if kind == "int8" and not EXACT_PEER:
        # A search of the peer's that says something there is not; but each token that ours writes has its score there.
        pair.targets = pair.words(beam=4, length_penalty=0.0, max_length=LONGEST)
        check_scores(pair, kind, ends)
        return
    peer = Peer(pair, kind, ends)
    for beam in (1, 4):
        # With no division by lengths both searches end with the best that the beam can find. A sentence may differ
        # where rounded inputs do (see above).
        theirs = peer.search(beam_size=beam, length_penalty=0.0)
        ours = pair.search(beam=beam, length_penalty=0.0, max_length=LONGEST)
        words = pair.words(beam=beam, length_penalty=0.0, max_length=LONGEST)
        same = [a == b.hypotheses[0] for a, b in zip(words, theirs, strict=True)]
        assert sum(same) >= len(same) - (2 if kind == "int8" else 0)
        scores = [(a.score, b.scores[0]) for a, b, equal in zip(ours, theirs, same, strict=True) if equal]
        assert len({len(line) for line in words}) > 1
        if beam > 1:  # greedy search there ends without the end's own score
            a, b = np.array(scores).T
            assert np.abs(a - b).max() < (0.5 if kind == "int8" else 1e-3)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [name for name in SHAPES if SHAPES[name].end])
def test_translations(shape: str, kind: str, tmp_path: Path) -> None:
    check_translations(pair_of(tmp_path, SHAPES[shape], kind), kind, SHAPES[shape].zero_start)


def test_the_default_search_finds_at_least_as_much(tmp_path: Path) -> None:
    """CTranslate2 stops once as many hypotheses are finished as the beam is wide; ours when nothing better can come."""
    pair = pair_of(tmp_path, SHAPES["OpenNMT"])
    theirs, ours = Peer(pair).search(), pair.search(max_length=LONGEST)
    better = np.array([a.score - b.scores[0] for a, b in zip(ours, theirs, strict=True)])
    assert better.min() > -1e-4
    assert pair.ours._defaults.beam == 2


@pytest.mark.parametrize(
    "shape", ["OpenNMT", "Marian", "first heads of another layer", "mean of all heads of another layer"]
)
def test_attention(shape: str, tmp_path: Path) -> None:
    pair = pair_of(tmp_path, SHAPES[shape])
    ends = SHAPES[shape].zero_start
    theirs = Peer(pair, ends=ends).search(beam_size=1)
    ours = pair.search(beam=1, max_length=LONGEST)
    for a, b in zip(ours, theirs, strict=True):
        assert a.attention is not None
        np.testing.assert_allclose(a.attention, np.array(b.attention[0]), atol=1e-4)


def test_the_mean_over_some_heads_is_one_over_all(tmp_path: Path) -> None:
    pair = pair_of(tmp_path, Shape(heads=(4, 4), alignment=(-1, 3)))
    assert any("not over the first 3" in line for line in pair.converted.left_out)


@pytest.mark.parametrize("frame", [[[2], [3, 96]], [[2, 2, 2, 2, 2, 2, 2, 2, 2], []], [[2]], {"a": 1}])
def test_what_stands_around_a_source_is_checked(frame: Any, tmp_path: Path) -> None:
    pair = pair_of(tmp_path, Shape())
    path = pair.directory / "config.json"
    table = json.loads(path.read_text())
    assert table["tokenizer"]["source_frame"] == [[], []]
    table["tokenizer"]["source_frame"] = frame
    path.write_text(json.dumps(table))
    with pytest.raises(ValueError, match=r"source_frame|expected an id in \[0, 96\), got 96"):
        attnkit.load(pair.directory)


@pytest.mark.parametrize("before", [False, True])
@pytest.mark.parametrize("behind", [False, True])
def test_what_stands_around_a_source(before: bool, behind: bool, tmp_path: Path) -> None:
    files.write_folder(tmp_path / "theirs", Shape(), add_source_bos=before, add_source_eos=behind)
    pair = Pair(tmp_path / "theirs")
    check_scores(pair, "float32", ends=False)
    text = "the cat is on the table"
    (result,) = pair.ours.translate([text], attention=True, max_length=5)
    read = pair.ours.source_tokenizer.pieces(pair.ours.source_tokenizer.encode(text))
    assert result.source_tokens == [*["<s>"] * before, *read, *["</s>"] * behind]
    assert len(result.source_words) == len(result.source_tokens)
    words = [word for word in result.source_words if word >= 0]
    assert words == sorted(words) and set(words) == set(range(6))
    assert (result.source_words[0] < 0, result.source_words[-1] < 0) == (before, behind)


def test_another_start_token(tmp_path: Path) -> None:
    files.write_folder(tmp_path / "theirs", Shape(), decoder_start_token="</s>", add_source_eos=True)
    pair = Pair(tmp_path / "theirs")
    assert pair.converted.config.bos_id == 3
    check_scores(pair, "float32", ends=False)


def test_models_that_begin_with_zeros_may_name_any_start_token(tmp_path: Path) -> None:
    """As those of `ct2-marian-converter`, whose vocabularies have no <s>."""
    files.write_folder(tmp_path / "theirs", MARIAN, add_source_eos=True)
    tokens = files.vocabulary(96)
    tokens[2] = "filler"
    files.write_vocabulary(tmp_path / "theirs" / "shared_vocabulary.json", tokens)
    pair = Pair(tmp_path / "theirs")
    assert pair.converted.config.bos_id == 96
    check_scores(pair, "float32", ends=False)


def test_another_epsilon(tmp_path: Path) -> None:
    files.write_folder(tmp_path / "theirs", Shape(), layer_norm_epsilon=0.1)
    pair = Pair(tmp_path / "theirs")
    assert pair.converted.config.norm_eps == pytest.approx(0.1)
    check_scores(pair, "float32", ends=False)


def test_vocabularies_without_special_tokens(tmp_path: Path) -> None:
    """A source needs no end token where none is read; an unknown token that is missing is behind the others."""
    files.write_folder(tmp_path / "theirs", Shape(rows=(96, 90)))
    tokens = files.vocabulary(96)[4:]  # four rows stand for nothing, of which the first is the unknown token's
    files.write_vocabulary(tmp_path / "theirs" / "source_vocabulary.json", tokens)
    (tmp_path / "theirs" / "bpe.model").write_bytes(b"#version: 0.2\n")  # beside sentencepiece.model
    pair = Pair(tmp_path / "theirs")
    tokenizer = pair.ours.source_tokenizer
    assert (tokenizer.unk_id, tokenizer.vocab_size, tokenizer.closed([7], tokenizer.eos_id)) == (92, 96, [7])
    pair.sources = [[*line, "<unk>"] for line in pair.sources]
    check_scores(pair, "float32", ends=False)


def test_the_first_tokens_of_a_vocabulary_count(tmp_path: Path) -> None:
    """A token that stands there twice, an empty line, and names of their own for end and unknown."""
    files.write_folder(tmp_path / "theirs", Shape(), unk_token="[unk]", eos_token="[end]")
    tokens = files.vocabulary(96)
    tokens[0], tokens[3], tokens[90], tokens[91] = "[unk]", "[end]", "", tokens[20]
    files.write_vocabulary(tmp_path / "theirs" / "shared_vocabulary.json", tokens)
    pair = Pair(tmp_path / "theirs")
    assert pair.ours.target_tokenizer.vocabulary.ids[tokens[20]] == 20
    assert (pair.ours.target_tokenizer.unk_id, pair.ours.target_tokenizer.eos_id) == (0, 3)
    check_scores(pair, "float32", ends=False)


# ----- Checkpoints by way of CTranslate2's converter


@pytest.mark.filterwarnings("ignore:Recommended. pip install sacremoses")
@pytest.mark.parametrize("kind", ["float32", "int8"])
def test_checkpoints_of_transformers(kind: str, tmp_path: Path) -> None:
    for name in ("ctranslate2", "torch", "transformers"):
        pytest.importorskip(name)
    import torch
    from ctranslate2.converters import TransformersConverter
    from marian_checkpoint import lines, write_checkpoint

    torch.set_num_threads(1)
    write_checkpoint(tmp_path / "hf", seed=1)
    settings = json.loads((tmp_path / "hf" / "tokenizer_config.json").read_text())
    (tmp_path / "hf" / "tokenizer_config.json").write_text(
        json.dumps(settings | {"eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"})
    )
    TransformersConverter(str(tmp_path / "hf"), copy_files=["source.spm", "target.spm"]).convert(
        str(tmp_path / "theirs"), quantization=kind
    )
    pair = Pair(tmp_path / "theirs")
    assert pair.converted.config.tie_embeddings == "all" and pair.converted.left_out == []
    tokenizer = pair.ours.source_tokenizer
    pair.sources = [tokenizer.pieces(tokenizer.encode(line)) for line in lines("source") if len(line) < 36][:12]
    check_translations(pair, kind, ends=True)


# ----- Containers of older versions

VERSIONS = [(6, 7), (6, 6), (5, 5), (5, 4), (4, 3), (3, 3), (2, 3), (2, 2), (1, 1)]
OLD = Shape(heads=(8, 8), scale=None, tie="decoder", rows=(96, 90), end=1.0)


def write_old(folder: Path, version: int, revision: int, kind: str = "float32") -> None:
    files.write_folder(folder, OLD, form="txt" if version < 6 else "json")
    variables, aliases = files.random_model(OLD)
    if version < 6:
        (folder / "config.json").unlink()
        variables = {name: array for name, array in variables.items() if "start_from_zero" not in name}
    if version < 3:
        variables |= {alias: variables[name] for alias, name in aliases.items()}
        aliases = {}
    spec = "TransformerSpec" if revision >= 3 else "TransformerBase"
    written = files.bin_of(files.renamed(files.quantised(variables, kind), revision), aliases, version, spec, revision)
    (folder / "model.bin").write_bytes(written)


@pytest.mark.parametrize(("version", "revision"), VERSIONS)
@pytest.mark.parametrize("kind", ["float32", "int8", "int16"])
def test_older_containers(version: int, revision: int, kind: str, tmp_path: Path) -> None:
    write_old(tmp_path / "theirs", version, revision, kind)
    pair = Pair(tmp_path / "theirs")
    write_old(tmp_path / "now", 6, 7, kind)
    now = Pair(tmp_path / "now")
    for a, b in zip(pair.scores(), now.scores(), strict=True):
        np.testing.assert_array_equal(a, b)
    if importlib.util.find_spec("ctranslate2"):
        check_scores(pair, kind, ends=False, rounds=version >= 5)


@pytest.mark.parametrize("flag", ["with_source_bos", "with_source_eos", "with_target_bos"])
def test_older_models_keep_their_tokens_in_variables(flag: str, tmp_path: Path) -> None:
    folder = tmp_path / "theirs"
    write_old(folder, 5, 5)
    variables, aliases = files.random_model(OLD)
    variables[flag] = np.int8(flag != "with_target_bos")
    variables |= {"eos_token": files.text_variable("</s>"), "unk_token": files.text_variable("<unk>")}
    (folder / "model.bin").write_bytes(files.bin_of(files.renamed(variables, 5), aliases, 5, revision=5))
    pair = Pair(folder)
    expected = {
        "with_source_bos": ([2, 9], 2), "with_source_eos": ([9, 3], 2), "with_target_bos": ([9], 3),
    }  # fmt: skip
    assert (pair.ours.source_tokenizer.closed([9], 3), pair.converted.config.bos_id) == expected[flag]
    if importlib.util.find_spec("ctranslate2"):
        check_scores(pair, "float32", ends=False)


def test_int16_without_a_scale_has_that_of_its_time(tmp_path: Path) -> None:
    folder = tmp_path / "theirs"
    write_old(folder, 2, 2)
    variables, aliases = files.random_model(OLD)
    variables |= {alias: variables[name] for alias, name in aliases.items()}
    for name in [name for name in variables if name.endswith("weight")]:
        variables[name] = np.rint(variables[name] * 1000).astype(np.int16)
    (folder / "model.bin").write_bytes(
        files.bin_of(files.renamed(variables, 2), {}, 2, spec="TransformerBase", revision=2)
    )
    pair = Pair(folder)
    weight = pair.ours.model.decoder.layers[0].feed_forward.up.weight.numpy()
    np.testing.assert_allclose(weight * 1000, variables["decoder/layer_0/ffn/linear_0/weight"], rtol=1e-6)


# ----- Files


def test_int8_stays_the_bytes_that_it_is(tmp_path: Path) -> None:
    pair = pair_of(tmp_path, MARIAN, "int8")
    variables, _ = files.random_model(MARIAN)
    written = files.quantised(variables, "int8")
    for ours, theirs in {
        "encoder.layers.1.attention.projection": "encoder/layer_1/self_attention/linear_0",
        "decoder.layers.0.cross_attention.key_value": "decoder/layer_0/attention/linear_1",
        "source_embedding": "decoder/embeddings",
    }.items():
        bytes_, scales, of_inputs = int8_parts(dict(pair.ours.model.named_parameters())[f"{ours}.weight"])
        rows = len(written[f"{theirs}/weight"])  # and one more of the start token
        np.testing.assert_array_equal(bytes_[:rows], written[f"{theirs}/weight"])
        np.testing.assert_array_equal(scales[:rows], written[f"{theirs}/weight_scale"])
        assert of_inputs == 0.0
    sizes = [path.stat().st_size for path in (tmp_path / "theirs" / "model.bin", pair.directory / "model.safetensors")]
    assert sizes[1] < sizes[0] + 8192  # the header has its size too


@pytest.mark.parametrize("form", ["json", "txt"])
@pytest.mark.parametrize("names", [["spiece.model"], ["source.spm", "target.spm"], ["bpe.spm"]])
def test_vocabularies_and_tokenizers(form: str, names: list[str], tmp_path: Path) -> None:
    folder = tmp_path / "theirs"
    files.write_folder(folder, Shape(rows=(96, 90)), form=form, tokenizer=False)
    for name in names:
        (folder / name).write_bytes(files.spm())
    (folder / "vmap.txt").write_text("0\tx\n")
    pair = Pair(folder)
    assert [line for line in pair.converted.left_out if "vmap.txt" in line and "attnkit shortlist" in line]
    result = pair.ours.translate(["the cat is on the table", ""], max_length=6)
    assert result[0].text and not result[1].text and "<" not in result[0].text


def test_carriage_returns_belong_to_tokens_unless_all_lines_have_them(tmp_path: Path) -> None:
    files.write_folder(tmp_path / "theirs", Shape(), form="txt")
    path = tmp_path / "theirs" / "shared_vocabulary.txt"
    whole = path.read_bytes()
    path.write_bytes(whole.replace(b"\n", b"\r\n"))
    assert Pair(tmp_path / "theirs").ours.target_tokenizer.vocabulary.ids["</s>"] == 3
    shutil.rmtree(tmp_path / "theirs-ours")
    lines = whole.split(b"\n")
    lines[50] += b"\r"
    path.write_bytes(b"\n".join(lines))
    assert f"{files.vocabulary(96)[50]}\r" in Pair(tmp_path / "theirs").ours.target_tokenizer.vocabulary.ids


# ----- What is not supported


def complaint(tmp_path: Path, *expected: str) -> None:
    with pytest.raises((ValueError, FileNotFoundError)) as caught:
        convert(tmp_path / "theirs", tmp_path / "ours")
    line = str(caught.value)
    assert line.startswith("[convert] ") and str(tmp_path / "theirs") in line, line
    assert "\n" not in line and len(line) < 700, line
    for each in expected:
        assert each in line, line
    assert [path.name for path in tmp_path.iterdir()] == ["theirs"]


def with_variable(name: str, value: Any) -> Callable[[Variables], None]:
    return lambda variables: variables.__setitem__(name, np.asarray(value))


def without_variable(name: str) -> Callable[[Variables], Any]:
    return lambda variables: variables.pop(name)


UNSUPPORTED: dict[str, Callable[[Variables], Any]] = {
    "relative positions": with_variable(
        "encoder/layer_0/self_attention/relative_position_keys", np.zeros((9, 8), np.float32)
    ),
    "rotary positions": with_variable("decoder/layer_0/self_attention/rotary_dim", np.int32(8)),
    "a cap of the logits": with_variable("decoder/final_logit_softcapping", np.float32(30)),
    "decoder/alibi": with_variable("decoder/alibi", np.int8(1)),
    "decoder/scale_outputs": with_variable("decoder/scale_outputs", np.float32(0.5)),
    "the activation tanh": with_variable("decoder/activation", np.int8(files.TANH)),
    "the same activation": with_variable("decoder/activation", np.int8(files.GELU)),
    "num_heads_kv = 1 instead of 2": with_variable("decoder/layer_1/self_attention/num_heads_kv", np.int32(1)),
    "queries_scale = 1 instead": with_variable("encoder/layer_0/self_attention/queries_scale", np.float32(1)),
    "embeddings times 3": with_variable("encoder/scale_embeddings", np.float32(3)),
    "a divisor of 16, got 3": with_variable("encoder/num_heads", np.int16(3)),
    "more than one source": with_variable("encoder/embeddings_1/weight", np.zeros((9, 8), np.float32)),
    "a projection of the embeddings": with_variable("decoder/project_in/weight", np.zeros((9, 8), np.float32)),
    "expected no variable decoder/layer_0/ffn/router": with_variable(
        "decoder/layer_0/ffn/router", np.zeros((9, 8), np.float32)
    ),
    "of shape [32, 16], got [32, 15]": with_variable(
        "encoder/layer_1/ffn/linear_0/weight", np.zeros((32, 15), np.float32)
    ),
    "expected a variable decoder/layer_norm/gamma": without_variable("decoder/layer_norm/gamma"),
    "counted from 0": with_variable("encoder/layer_7/ffn/layer_norm/gamma", np.zeros(16, np.float32)),
    "finite": with_variable("encoder/layer_norm/gamma", np.full(16, np.inf, np.float32)),
    "alignment_layer below 2": with_variable("decoder/alignment_layer", np.int16(2)),
}


@pytest.mark.parametrize("what", UNSUPPORTED)
def test_what_is_not_supported_is_named(what: str, tmp_path: Path) -> None:
    files.write_folder(tmp_path / "theirs", Shape())
    variables, aliases = files.random_model(Shape())
    UNSUPPORTED[what](variables)
    (tmp_path / "theirs" / "model.bin").write_bytes(files.bin_of(variables, aliases))
    complaint(tmp_path, "model.bin", what)


@pytest.mark.parametrize(
    ("spec", "revision", "what"),
    [("WhisperSpec", 3, "'WhisperSpec'"), ("TransformerDecoderSpec", 8, "Decoder"), ("TransformerSpec", 8, "later")],
)
def test_other_models_are_named(spec: str, revision: int, what: str, tmp_path: Path) -> None:
    files.write_folder(tmp_path / "theirs", Shape())
    variables, aliases = files.random_model(Shape())
    (tmp_path / "theirs" / "model.bin").write_bytes(files.bin_of(variables, aliases, spec=spec, revision=revision))
    complaint(tmp_path, "model.bin", what)


@pytest.mark.parametrize(
    ("config", "what"),
    [
        ({"decoder_start_token": None}, "decoder_start_token is null"),
        ({"decoder_start_token": "<go>"}, "the start token '<go>'"),
        ({"decoder_start_token": ""}, "the start token ''"),
        ({"eos_token": "<end>"}, "the end token '<end>'"),
        ({"layer_norm_epsilon": 0}, "layer_norm_epsilon"),
        ({"add_source_bos": "yes"}, "add_source_bos"),
        ({"multi_query_attention": True}, "multi_query_attention"),
    ],
)
def test_settings_that_cannot_be(config: dict[str, Any], what: str, tmp_path: Path) -> None:
    files.write_folder(tmp_path / "theirs", Shape(), **config)
    complaint(tmp_path, what)


def test_models_for_many_languages_are_named(tmp_path: Path) -> None:
    files.write_folder(tmp_path / "theirs", Shape())
    files.write_vocabulary(tmp_path / "theirs" / "shared_vocabulary.json", [*files.vocabulary(90), "eng_Latn"])
    complaint(tmp_path, "eng_Latn", "NLLB-200")


def test_files_that_are_missing_or_another_models(tmp_path: Path) -> None:
    folder = tmp_path / "theirs"
    files.write_folder(folder, Shape(), tokenizer=False)
    complaint(tmp_path, "source.spm and target.spm, or one SentencePiece model", "got none")
    (folder / "a.spm").write_bytes(files.spm())
    (folder / "b.spm").write_bytes(files.spm())
    complaint(tmp_path, "got a.spm, b.spm")
    (folder / "b.spm").unlink()
    (folder / "a.spm").write_bytes(b"#version: 0.2\ne n</w>\n")
    complaint(tmp_path, "a.spm", "subword-nmt")
    (folder / "a.spm").write_bytes(files.vocabulary_model(160, "target"))
    files.write_vocabulary(folder / "shared_vocabulary.json", [*files.SPECIAL, *(f"q{i}" for i in range(90))])
    complaint(tmp_path, "a.spm", "the model's own SentencePiece model")
    files.write_vocabulary(folder / "shared_vocabulary.json", files.vocabulary(97))
    complaint(tmp_path, "at most 96 tokens", "got 97")
    files.write_vocabulary(folder / "shared_vocabulary.json", files.vocabulary(80))
    (folder / "a.spm").write_bytes(files.spm())
    (folder / "model.bin").write_bytes(files.bin_of(*files.random_model(Shape(rows=(96, 90)))))
    complaint(tmp_path, "the vocabulary is shared", "96 and 90")
    (folder / "shared_vocabulary.json").write_text("{")
    complaint(tmp_path, "shared_vocabulary.json", "a list of tokens")
    (folder / "shared_vocabulary.json").unlink()
    complaint(tmp_path, "expected shared_vocabulary.json")
    (folder / "config.json").unlink()
    complaint(tmp_path, "config.json", "no such file")


# ----- Broken and hostile files


def test_a_file_cut_anywhere_is_one_line(tmp_path: Path) -> None:
    files.write_folder(tmp_path / "theirs", Shape())
    path = tmp_path / "theirs" / "model.bin"
    whole = path.read_bytes()
    for place in [*range(0, 400, 7), *range(400, len(whole), 4001), len(whole) - 1]:
        path.write_bytes(whole[:place])
        complaint(tmp_path, "model.bin")


def test_every_count_is_checked_before_memory_is_taken(tmp_path: Path) -> None:
    files.write_folder(tmp_path / "theirs", Shape())
    path = tmp_path / "theirs" / "model.bin"
    head = struct.pack("<I", 6) + files.text_of("TransformerSpec") + struct.pack("<I", 7)
    name, huge = files.text_of("encoder/embeddings_0/weight"), 2**32 - 1
    bodies = {
        "at most 65,536 variables": struct.pack("<I", huge),
        "bytes of a variable's name": struct.pack("<IH", 1, 65535),
        "8 dimensions": struct.pack("<I", 1) + name + struct.pack("<B", 255),
        "the bytes of 'encoder/embeddings_0/weight'": struct.pack("<I", 1) + name
        + struct.pack("<B2IBI", 2, huge, huge, 0, huge),
        "4,294,967,292 bytes of 'encoder/embeddings_0/weight'": struct.pack("<I", 1) + name
        + struct.pack("<B1IBI", 1, 2**30 - 1, 0, huge - 3),
        "the number 6": struct.pack("<I", 1) + name + struct.pack("<BIBI", 1, 4, 6, 16),
        "each variable once": struct.pack("<I", 2) + 2 * (name + struct.pack("<BIBI", 1, 0, 0, 0)),
        "at most 65,536 aliases": struct.pack("<II", 0, huge),
        "a variable for the alias 'a'": struct.pack("<II", 0, 1) + files.text_of("a") + files.text_of("b"),
    }  # fmt: skip
    for what, body in bodies.items():
        path.write_bytes(head + body)
        tracemalloc.start()
        complaint(tmp_path, "model.bin", what)
        assert tracemalloc.get_traced_memory()[1] < 2**22
        tracemalloc.stop()


@pytest.mark.parametrize("value", [-1.0, 0.0, np.inf, np.nan])
def test_scales_are_positive_numbers(value: float, tmp_path: Path) -> None:
    files.write_folder(tmp_path / "theirs", Shape())
    variables, aliases = files.random_model(Shape())
    written = files.quantised(variables, "int8")
    written["encoder/layer_0/ffn/linear_0/weight_scale"][3] = value
    (tmp_path / "theirs" / "model.bin").write_bytes(files.bin_of(written, aliases))
    complaint(tmp_path, "encoder/layer_0/ffn/linear_0/weight_scale", "positive")


def test_a_byte_that_int8_does_not_have(tmp_path: Path) -> None:
    files.write_folder(tmp_path / "theirs", Shape())
    variables, aliases = files.random_model(Shape())
    written = files.quantised(variables, "int8")
    written["encoder/layer_0/ffn/linear_0/weight"][3, 3] = -128
    (tmp_path / "theirs" / "model.bin").write_bytes(files.bin_of(written, aliases))
    complaint(tmp_path, "encoder/layer_0/ffn/linear_0/weight", "-128")


def test_aliases_of_aliases_and_of_scales(tmp_path: Path) -> None:
    variables, _ = files.random_model(Shape(tie="all"))
    aliases = {"a": "decoder/embeddings/weight", "b": "a"}
    path = tmp_path / "model.bin"
    path.write_bytes(files.bin_of(files.quantised(variables, "int8"), aliases))
    file = CTranslate2File(path)
    assert file.same("a", "b") and file.same("b", "decoder/embeddings/weight")
    np.testing.assert_array_equal(file.int8("b", (96, 16))[1], file.int8("decoder/embeddings/weight", (96, 16))[1])


# ----- Argos Translate's packages


def test_packages_of_argos_translate(tmp_path: Path) -> None:
    path = tmp_path / "translate-en_it-1_0.argosmodel"
    files.write_package(path, SHAPES["OpenNMT"])
    made = attnkit_run("convert", str(path), str(tmp_path / "en-it"))
    assert made.returncode == 0 and b"parameters" in made.stderr, made.stderr
    made = attnkit_run("convert", str(tmp_path / path.stem), str(tmp_path / "again"))  # as Argos Translate installs it
    assert made.returncode == 0, made.stderr
    names = sorted(file.name for file in (tmp_path / "en-it").iterdir())
    assert names == ["config.json", "model.safetensors", "source.spm", "target.spm", "vocab.json"]
    for name in names:
        assert (tmp_path / "en-it" / name).read_bytes() == (tmp_path / "again" / name).read_bytes()
    said = json.loads((tmp_path / "en-it" / "config.json").read_text())
    assert (said["decoding"]["beam"], said["decoding"]["length_penalty"], said["precision"]) == (4, 0.2, "int8")
    lines = ["the cat is on the table", "", "a dog sees the house"]
    written = attnkit_run("translate", str(tmp_path / "en-it"), text="\n".join(lines) + "\n")
    assert written.returncode == 0, written.stderr
    texts = written.stdout.decode().splitlines()
    assert len(texts) == 3 and texts[0] and not texts[1]
    if not importlib.util.find_spec("ctranslate2"):
        return
    ours = attnkit.load(tmp_path / "en-it", task="translate")
    import ctranslate2

    translator = ctranslate2.Translator(str(tmp_path / path.stem / "model"), compute_type=INT8_PEER, intra_threads=1)
    sources = [ours.source_tokenizer.pieces(ours.source_tokenizer.encode(line)) for line in lines if line]
    never = [["<s>"], ["<blank>"]]
    theirs = translator.translate_batch(
        sources, disable_unk=True, suppress_sequences=never, beam_size=1, max_decoding_length=LONGEST
    )
    greedy = ours.translate([line for line in lines if line], beam=1, max_length=LONGEST)
    assert [each.tokens for each in greedy] == [each.hypotheses[0] for each in theirs]


def test_packages_that_are_not_supported(tmp_path: Path) -> None:
    def said(**changes: Any) -> str:
        shutil.rmtree(tmp_path / "p", ignore_errors=True)
        path = tmp_path / "p.argosmodel"
        files.write_package(path, Shape(), **changes)
        with pytest.raises(ValueError) as caught:
            convert(path, tmp_path / "ours")
        line = str(caught.value)
        assert str(path) in line and "\n" not in line and not (tmp_path / "ours").exists(), line
        return line

    assert "'__it__' (target_prefix): not supported" in said(target_prefix="__it__")
    assert "'sbd'" in said(type="sbd")
    assert "target_prefix" in said(target_prefix=3)
    said(target_prefix="__it__")
    (tmp_path / "p" / "metadata.json").write_text("{}")
    folder, path = tmp_path / "p", tmp_path / "p.argosmodel"
    (folder / "sentencepiece.model").rename(folder / "bpe.model")
    with pytest.raises(ValueError, match=r"bpe\.model: merges of subword-nmt"):
        convert(folder, tmp_path / "ours")
    beyond = bytearray(files.zip_of({"a/metadata.json": b"{}", "a/model/model.bin": b""}))
    for place in (i for i in range(len(beyond)) if beyond[i : i + 4] == b"PK\1\2"):
        beyond[place + 42 : place + 46] = b"\xff\xff\xff\xf0"  # where a member begins
    for content, what in (
        (beyond, "a sound package"),
        (b"", "a sound package"), (b"PK\3\4 and no more", "a sound package"),
        (files.zip_of({"a/metadata.json": b"{}"}), "without model/model.bin"),
        (files.zip_of({"a/model/model.bin": b""}), "without metadata.json"),
        (files.zip_of({"a/metadata.json": b"[", "a/model/model.bin": b""}), "metadata.json"),
        (files.zip_of({"a/metadata.json": b"{}", "a/model/model.bin": bytes(1 << 27)}), "at most 67,108,864 bytes"),
        (files.zip_of({"a/metadata.json": b"{}", "a/model/model.bin": b"", "../../escaped": b"x"}), "of the source"),
    ):  # fmt: skip
        path.write_bytes(content)
        with pytest.raises((ValueError, FileNotFoundError), match=r"^\[convert\] ") as caught:
            convert(path, tmp_path / "ours")
        assert what in str(caught.value) or "p.argosmodel/model" in str(caught.value), caught.value
        assert "\n" not in str(caught.value)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["p", "p.argosmodel"]
