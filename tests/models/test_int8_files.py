"""Model directories some of whose weights are int8: three entries of a file each, and bytes in memory."""

from __future__ import annotations

import copy
import json
import pickle
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from kept_models import MODELS, PICTURE, outputs

import attnkit
from attnkit import _core, optim
from attnkit._core import Tensor
from attnkit.decoding import Packed
from attnkit.models import TransformerConfig, build_model
from attnkit.models.files import load_model, save_model
from attnkit.nn.embedding import Embedding
from attnkit.tasks.translate import shortlist_source
from attnkit.weights import WeightsFile, load_weights, save_weights

PRECISIONS: list[Any] = ["fp32", "bf16", "int8"]
SOURCES = [np.array(ids, np.int32) for ids in ([5, 9, 3], [7, 8, 9, 10, 11, 3], [20, 3])]
TARGET = np.array([2, 4, 30, 17, 9], np.int32)


def quantized(weight: Tensor, inputs: float) -> Tensor:
    array = weight.to("float32").numpy(writable=False)
    rows = np.float32(127) / np.maximum(np.abs(array).max(1), np.float32(1e-3))
    return _core.from_int8(np.rint(array * rows[:, None]).astype(np.int8), rows, inputs)


def matrices(model: Any) -> dict[str, Tensor]:
    """What products pack and embeddings look up, by name."""
    taken = {id(weight) for module in model.modules() for weight in module.matrices()}
    taken |= {id(module.weight) for module in model.modules() if isinstance(module, Embedding)}
    return {name: weight for name, weight in model.named_parameters() if id(weight) in taken and weight.ndim == 2}


def quantize(model: Any, inputs: float = 20.0) -> Any:
    """Its matrices become int8, every other one with a multiplier of its inputs."""
    for number, weight in enumerate(matrices(model).values()):
        weight.adopt_(quantized(weight, inputs + number if number % 2 else 0.0))
    return model


def small_model() -> Any:
    attnkit.manual_seed(3)
    config = TransformerConfig(d_model=96, ffn=160, heads=4, encoder_layers=2, decoder_layers=2, max_length=64)
    return build_model(config, 301, 301).eval()


def log_probs(model: Any, precision: Any) -> npt.NDArray[np.float32]:
    """[steps, rows, V] along the same target."""
    with attnkit.precision(precision), attnkit.no_grad():
        state = model.start(Packed.of(SOURCES))
        return np.stack([model.step(state, np.full(len(SOURCES), token, np.int32)).log_probs for token in TARGET])


def in_int8(source: Path, to: Path, widened: bool = False) -> Path:
    """A copy of a directory whose matrices are int8, or the float32 that those stand for."""
    shutil.copytree(source, to)
    model = quantize(load_model(source))
    if widened:
        model.to("float32")
    save_weights({**dict(model.named_parameters()), **dict(model.named_buffers())}, to / "model.safetensors")
    return to


# ----- Round trips


@pytest.mark.parametrize("ahead", [False, True], ids=["packed when used", "packed ahead"])
def test_a_saved_model_gives_the_same_bytes(ahead: bool, tmp_path: Path) -> None:
    model = quantize(small_model())
    save_model(model, tmp_path / "model")
    for precision in PRECISIONS:
        loaded = load_model(tmp_path / "model", precision if ahead else None)
        assert [(n, p.dtype) for n, p in loaded.named_parameters()] == [
            (n, p.dtype) for n, p in model.named_parameters()
        ]
        np.testing.assert_array_equal(log_probs(loaded, precision), log_probs(model, precision))
    loaded = load_model(tmp_path / "model")
    for name, weight in matrices(model).items():
        pair = _core.int8_parts(weight), _core.int8_parts(matrices(loaded)[name])
        for own, read in zip(*pair, strict=True):
            np.testing.assert_array_equal(own, read)
    save_model(loaded, tmp_path / "again")
    first, second = (tmp_path / name / "model.safetensors" for name in ("model", "again"))
    assert first.read_bytes() == second.read_bytes()


def test_a_file_is_about_a_quarter(tmp_path: Path) -> None:
    sizes = []
    for number, model in enumerate((small_model(), quantize(small_model()))):
        save_model(model, tmp_path / str(number))
        sizes.append((tmp_path / str(number) / "model.safetensors").stat().st_size)
    assert 0.25 < sizes[1] / sizes[0] < 0.32


def test_a_weight_is_three_entries(tmp_path: Path) -> None:
    data, rows = np.arange(-6, 6, dtype=np.int8).reshape(3, 4), np.array([1, 2, 4], np.float32)
    state: dict[str, Any] = {"a": _core.from_int8(data, rows, 2.5), "b": _core.from_int8(data, rows)}
    save_weights(state, tmp_path / "w.safetensors")
    entries = {name: (each.type, each.shape) for name, each in WeightsFile(tmp_path / "w.safetensors").entries.items()}
    assert entries == {
        "a": ("I8", (3, 4)), "a.multipliers": ("F32", (3,)), "a.input_multiplier": ("F32", (1,)),
        "b": ("I8", (3, 4)), "b.multipliers": ("F32", (3,)),
    }  # fmt: skip
    read = load_weights(tmp_path / "w.safetensors")
    assert read["a"].tobytes() == data.tobytes() and read["a.input_multiplier"].tolist() == [2.5]
    assert read["b.multipliers"].tobytes() == rows.tobytes()


def test_the_library_of_the_format_reads_what_is_written(tmp_path: Path) -> None:
    library = pytest.importorskip("safetensors.numpy")
    data, rows = np.arange(-6, 6, dtype=np.int8).reshape(3, 4), np.array([1, 2, 4], np.float32)
    save_weights({"a": _core.from_int8(data, rows, 2.5)}, tmp_path / "w.safetensors")
    read = library.load_file(tmp_path / "w.safetensors")
    np.testing.assert_array_equal(read["a"], data)
    np.testing.assert_array_equal(read["a.multipliers"], rows)


@pytest.mark.parametrize("source", MODELS, ids=lambda path: path.name)
def test_models_of_each_task_say_what_their_widened_weights_say(source: Path, tmp_path: Path) -> None:
    narrow, wide = in_int8(source, tmp_path / "int8"), in_int8(source, tmp_path / "float32", widened=True)
    for precision in ("fp32", "bf16"):
        model = attnkit.load(narrow, precision=precision)
        kinds = [parameter.dtype for parameter in model.model.parameters()]
        assert kinds.count("int8") == len(matrices(model.model)) > 0
        assert outputs(model) == outputs(attnkit.load(wide, precision=precision))


def explained(model: Any) -> Any:
    """With what reads weights in other ways: a shortlist's part of an output layer, and attention."""
    if isinstance(model, attnkit.Translator):
        to, lines = model.languages[0] if model.languages else None, ["il gatto vede"] * 3
        short = shortlist_source.build(model, lines, lines, 5)
        results: Any = [
            each
            for beam in (1, 3)
            for each in model.translate(lines, beam=beam, max_length=8, to=to, shortlist=short, attention=True)
        ]
    elif isinstance(model, attnkit.Captioner):
        results = model.caption([PICTURE], max_length=8, attention=True)
    elif isinstance(model, attnkit.Generator):
        results = model.generate(["a"], max_length=8, attention=True)
    elif isinstance(model, attnkit.ImageClassifier):
        results = model.classify([PICTURE], attention=model.attends)
    else:
        results = model.classify(["good", "bad"], attention=True)
    return [pickle.dumps(each) for each in results]


@pytest.mark.parametrize("source", MODELS, ids=lambda path: path.name)
def test_attention_and_shortlists_are_those_of_the_widened_weights(source: Path, tmp_path: Path) -> None:
    narrow, wide = in_int8(source, tmp_path / "int8"), in_int8(source, tmp_path / "float32", widened=True)
    assert explained(attnkit.load(narrow, precision="fp32")) == explained(attnkit.load(wide, precision="fp32"))
    explained(attnkit.load(narrow, precision="int8"))


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("source", MODELS, ids=lambda path: path.name)
def test_models_of_each_task_are_saved_and_copied(source: Path, precision: Any, tmp_path: Path) -> None:
    model = attnkit.load(in_int8(source, tmp_path / "model"), precision=precision)
    said = outputs(model)
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert outputs(other) == said
        assert [p.dtype for p in other.model.parameters()] == [p.dtype for p in model.model.parameters()]
    again = Path(shutil.copytree(tmp_path / "model", tmp_path / "again"))
    extra = json.loads((again / "config.json").read_text("utf-8"))
    save_model(model.model, again, extra)
    assert (again / "model.safetensors").read_bytes() == (tmp_path / "model" / "model.safetensors").read_bytes()
    assert outputs(attnkit.load(again, precision=precision)) == said


# In a process of its own: to read what is not in the file any more would end it by SIGBUS.
OUTLIVES = """
import os, sys
from pathlib import Path
sys.path[:0] = [sys.argv[1], sys.argv[1] + "/../support"]
from attnkit.models.files import load_model
from test_int8_files import log_probs
for precision in ("fp32", "bf16", "int8"):
    whole = log_probs(load_model(sys.argv[2]), precision)
    model = load_model(sys.argv[2], precision)
    other = load_model(sys.argv[2])
    file = Path(sys.argv[2], "model.safetensors")
    data = file.read_bytes()
    os.truncate(file, 0)
    assert (log_probs(model, precision) == whole).all() and (log_probs(other, precision) == whole).all()
    file.write_bytes(data)
"""


def test_a_loaded_model_outlives_its_file(tmp_path: Path) -> None:
    save_model(quantize(small_model()), tmp_path / "model")
    subprocess.run(
        [sys.executable, "-c", OUTLIVES, str(Path(__file__).parent), str(tmp_path / "model")], check=True, timeout=120
    )


# ----- Training


def test_a_model_in_float32_can_be_trained(tmp_path: Path) -> None:
    save_model(quantize(small_model()), tmp_path / "model")
    model: Any = load_model(tmp_path / "model")
    said, before = log_probs(model, "fp32"), {name: array.copy() for name, array in model.state_dict().items()}
    frozen = matrices(model)
    assert frozen and not any(weight.requires_grad for weight in frozen.values())
    other = {name: array + 1 for name, array in before.items()}
    with pytest.raises(ValueError, match=r"^\[load_state_dict\] expected \S+ of float32 or bfloat16, got int8"):
        model.load_state_dict(other)
    for name, array in model.state_dict().items():  # none of it was loaded
        np.testing.assert_array_equal(array, before[name])

    assert model.to("float32") is model
    assert all(parameter.dtype == "float32" and parameter.requires_grad for parameter in model.parameters())
    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(array, before[name])
    np.testing.assert_array_equal(log_probs(model, "fp32"), said)

    optimizer = optim.Adam(list(model.parameters()), 0.1)
    attnkit.ops.linear(np.ones((1, 96), np.float32), next(iter(matrices(model).values()))).sum().backward()
    optimizer.step()
    assert (log_probs(model, "fp32") != said).any()


def test_optimizers_ask_for_float32() -> None:
    layer = attnkit.nn.Linear(3, 2)
    layer.weight.adopt_(quantized(layer.weight, 0.0))
    optimizer = optim.Adam(list(layer.parameters()), 0.1)
    layer.weight.grad = attnkit.tensor(np.ones((2, 3), np.float32))
    with pytest.raises(ValueError, match="expected float32, got int8"):
        optimizer.step()


# ----- Files that are none


MODEL = next(path for path in MODELS if path.name == "translate")
WEIGHT = "decoder.layers.0.cross_attention.key_value.weight"  # [16, 8]
ONES, BYTES = np.ones(16, np.float32), np.ones((16, 8), np.int8)


def changed(place: int, number: float) -> npt.NDArray[np.float32]:
    array = ONES.copy()
    array[place] = number
    return array


def one(number: float) -> npt.NDArray[np.float32]:
    return np.array([number], np.float32)


NO_ROWS = f"expected {WEIGHT}.multipliers of type F32 and a number for each row"
NO_INPUT = f"expected {WEIGHT}.input_multiplier of type F32 and one number"
NO_WEIGHT = f"expected {WEIGHT} of type F32, F16, BF16, F64, got I8, which only a matrix may be, with its multipliers"
BROKEN: dict[str, tuple[dict[str, Any], str]] = {
    "no multipliers": ({".multipliers": None}, NO_WEIGHT),
    "one too few": ({".multipliers": ONES[1:]}, NO_ROWS),
    "a column of them": ({".multipliers": ONES[:, None]}, NO_ROWS),
    "one for all": ({".multipliers": one(1)}, NO_ROWS),
    "multipliers of float64": ({".multipliers": ONES.astype(np.float64)}, NO_ROWS),
    "multipliers of float16": ({".multipliers": ONES.astype(np.float16)}, NO_ROWS),
    "multipliers of bytes": ({".multipliers": ONES.astype(np.int8)}, NO_ROWS),
    "zero": ({".multipliers": changed(15, 0)}, f"{WEIGHT}: [int8] expected positive multipliers, got 0"),
    "negative": ({".multipliers": changed(0, -3)}, f"{WEIGHT}: [int8] expected positive multipliers, got -3"),
    "NaN": ({".multipliers": changed(7, np.nan)}, f"{WEIGHT}: [int8] expected positive multipliers, got nan"),
    "infinity": ({".multipliers": changed(7, np.inf)}, f"{WEIGHT}: [int8] expected positive multipliers, got inf"),
    "two for the inputs": ({".input_multiplier": np.ones(2, np.float32)}, NO_INPUT),
    "a scalar for the inputs": ({".input_multiplier": np.float32(2)}, NO_INPUT),
    "float64 for the inputs": ({".input_multiplier": np.ones(1)}, NO_INPUT),
    "negative for the inputs": (
        {".input_multiplier": one(-2)}, f"{WEIGHT}: [int8] expected an input_multiplier of at least 0, got -2",
    ),
    "NaN for the inputs": (
        {".input_multiplier": one(np.nan)}, f"{WEIGHT}: [int8] expected an input_multiplier of at least 0, got nan",
    ),
    "a matrix of another shape": ({"": np.ones((16, 9), np.int8)}, f"expected {WEIGHT} of shape [16, 8], got [16, 9]"),
    "more axes": ({"": BYTES[..., None]}, NO_WEIGHT),
    "bytes of no sign": ({"": BYTES.view(np.uint8)}, f"expected {WEIGHT} of type F32, F16, BF16, F64, got U8"),
    "multipliers of float32": ({"": BYTES.astype(np.float32)}, f"unexpected: ['{WEIGHT}.multipliers']"),
}  # fmt: skip


@pytest.mark.parametrize(("changes", "message"), BROKEN.values(), ids=BROKEN)
def test_a_broken_file_is_one_error_that_names_it(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    directory = Path(shutil.copytree(MODEL, tmp_path / "model"))
    state: dict[str, Any] = {**load_weights(MODEL / "model.safetensors"), WEIGHT: BYTES, WEIGHT + ".multipliers": ONES}
    save_weights(state, directory / "model.safetensors")
    load_model(directory)  # what is changed is whole
    for end, array in changes.items():
        state[WEIGHT + end] = None if array is None else np.asarray(array)
    save_weights({name: x for name, x in state.items() if x is not None}, directory / "model.safetensors")
    file = str(directory / "model.safetensors")
    with pytest.raises(ValueError, match="^" + re.escape(file)) as refused:
        load_model(directory)
    assert message in str(refused.value) and "\n" not in str(refused.value) and str(refused.value).count(file) == 1


def test_a_vector_is_no_weight_of_int8(tmp_path: Path) -> None:
    directory = Path(shutil.copytree(MODEL, tmp_path / "model"))
    bias = "encoder.layers.0.attention.projection.bias"
    state = load_weights(MODEL / "model.safetensors")
    state |= {bias: state[bias].astype(np.int8), bias + ".multipliers": np.ones(len(state[bias]), np.float32)}
    save_weights(state, directory / "model.safetensors")
    with pytest.raises(ValueError, match=rf"expected {bias} of type F32, F16, BF16, F64, got I8, which only a matrix"):
        load_model(directory)


def test_a_matrix_that_no_product_packs_becomes_float32(tmp_path: Path) -> None:
    """As a learnt table of positions, which is added."""
    attnkit.manual_seed(1)
    config = TransformerConfig(
        d_model=8, ffn=16, heads=2, encoder_layers=1, decoder_layers=1, positions="learned", max_length=20
    )
    model: Any = build_model(config, 30, 30).eval()
    table = next(name for name, _ in model.named_parameters() if "position" in name and name not in matrices(model))
    narrow = quantized(dict(model.named_parameters())[table], 0.0)
    save_model(model, tmp_path / "model")
    file = tmp_path / "model" / "model.safetensors"
    save_weights({**load_weights(file), table: narrow}, file)
    found = dict(load_model(tmp_path / "model").named_parameters())[table]
    assert found.dtype == "float32"
    np.testing.assert_array_equal(found.numpy(), narrow.numpy())
