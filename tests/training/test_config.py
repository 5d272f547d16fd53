"""The training configuration: strict reading, overrides, errors that name the key, and writing it back."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest

from attnkit.tasks.keys import json_schema
from attnkit.training import ConfigError, encode_config, preset_names, read_config

MINIMAL = """
task = "translate"
[data]
builtin = "en-it"
[model]
type = "transformer"
[training]
max_steps = 10
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "run.toml"
    path.write_text(MINIMAL)
    return path


def test_defaults_fill_what_is_not_said(file: Path) -> None:
    config = read_config(file)
    assert config.training.max_steps == 10
    assert config.training.precision == "fp32"
    assert config.decoding.beam == 5
    assert config.tokenizer.kind == "bpe"


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("training.learning_rat=0.1", "training.learning_rat: unknown key (did you mean learning_rate?)"),
        ("training.max_steps=many", "training.max_steps: expected int, got str"),
        ("training.max_steps=1.5", "training.max_steps: expected int, got float"),
        ("training.learning_rate=-1.0", "training.learning_rate: expected float > 0.0"),
        ("training.betas=[0.9]", "training.betas: expected array of length 2, got 1"),
        ("training.precision=fp8", "training.precision: invalid value 'fp8'; expected 'bf16' or 'fp32'"),
        ("training.max_steps=0", "training.max_steps: expected this"),
        ("training.schedule=cosine", "training.max_steps: expected more than warmup_steps"),
        ("training.min_learning_rate=1", "training.min_learning_rate: expected at most learning_rate"),
        ("model.heads=7", "model.heads: expected a divisor"),
        ("model.encoder_layers=1001", "model.encoder_layers: expected int <= 1000"),
        ("data.builtin_train=1000001", "data.builtin_train: expected int <= 1000000"),
        ("model.max_length=256", "data.max_length: expected less than model.max_length = 256"),
        ("training.metric=cider", 'training.metric: expected "loss" or "bleu", all that is measured here, got "cider"'),
        ("training.metric=accuracy", 'training.metric: expected "loss" or "bleu"'),
        (
            "model.tie_embeddings=no",
            "model.tie_embeddings: invalid value 'no'; expected 'all' or 'decoder' or 'inputs' or 'none'",
        ),
        ("model.type=perceptron", "model.type: invalid value 'perceptron'"),
        ("model.widht=3", "model.widht: unknown key"),
        ("data.builtin=xx-yy", "data.builtin: invalid value 'xx-yy'; expected 'en-it' or 'it-en'"),
        ("data.train=['a', 'b']", "data.train: expected no files beside builtin"),
        ("modle.heads=2", "modle: unknown key (did you mean model?)"),
        ("task=dance", "task: invalid value 'dance'"),
    ],
)
def test_an_error_names_file_and_key(file: Path, override: str, message: str) -> None:
    with pytest.raises(ConfigError) as raised:
        read_config(file, [override])
    assert str(raised.value).startswith(f"{file}: {message}")


def test_what_is_made_one_by_one_has_a_bound_in_every_task() -> None:
    bounds = {
        f"{name}.{key}": "maximum" in json.dumps(value)
        for name, table in json_schema()["$defs"].items()
        for key, value in table["properties"].items()
        if key in ("blocks", "builtin_train", "builtin_held_out", "operations") or key.endswith("layers")
    }
    assert len(bounds) > 12 and all(bounds.values()), bounds


def test_a_missing_section_is_named(file: Path) -> None:
    file.write_text('task = "translate"\n[data]\nbuiltin = "en-it"\n[training]\nmax_steps = 1\n')
    with pytest.raises(ConfigError, match="model: expected a value, got nothing"):
        read_config(file)


def test_what_is_not_measured_is_no_metric(file: Path) -> None:
    with pytest.raises(ConfigError, match='expected "loss", all that is measured here, got "bleu"'):
        read_config(file, ["training.metric=bleu", "decoding.bleu=false"])


def test_validation_data_is_needed_for_the_best_weights(file: Path) -> None:
    files = ["data.builtin", "data.train"]
    text = MINIMAL.replace('builtin = "en-it"', 'train = ["a", "b"]')
    file.write_text(text)
    with pytest.raises(ConfigError, match=r"data\.validation: expected files") as raised:
        read_config(file)
    assert not any(str(raised.value).startswith(f"{file}: {key}:") for key in files)
    assert read_config(file, ["training.final=last"]).data.train == ("a", "b")


@pytest.mark.parametrize("content", [b"task = ", b"task = \xff", b"[[[", b"\x00"])
def test_a_file_that_is_no_toml(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "bad.toml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match="expected TOML"):
        read_config(path)


def test_a_byte_order_mark_is_no_content(file: Path) -> None:
    expected = read_config(file)
    file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes())
    assert read_config(file) == expected


def test_one_file_needs_no_brackets(tmp_path: Path) -> None:
    path = tmp_path / "run.toml"
    rest = '[model]\ntype = "transformer"\n[training]\nmax_steps = 1\n[decoding]\nbleu = false\n'
    path.write_text(f'task = "translate"\n[data]\nformat = "tsv"\ntrain = "pairs.tsv"\nvalidation = "held.tsv"\n{rest}')
    assert read_config(path).data.train == ("pairs.tsv",)
    assert read_config(path, ["data.train=other.tsv"]).data.train == ("other.tsv",)
    with pytest.raises(ConfigError, match=r"data\.train: expected 2 file\(s\) for format 'parallel', got 1"):
        read_config(path, ["data.format=parallel"])
    with pytest.raises(ConfigError, match=r"training\.betas: expected array, got str"):
        read_config(path, ["training.betas=fast"])


def test_neither_file_nor_preset() -> None:
    with pytest.raises(ConfigError, match=r"nowhere: expected a TOML file or a preset \(.*\ben-it\b"):
        read_config("nowhere")


def test_overrides_are_toml_values_or_else_strings(file: Path) -> None:
    config = read_config(
        file,
        ["training.betas=[0.8,0.9]", "training.schedule=constant", 'training.optimizer="adamw"', "decoding.bleu=false"],
    )
    assert config.training.betas == (0.8, 0.9)
    assert config.training.schedule == "constant"
    assert config.training.optimizer == "adamw"
    assert config.decoding.bleu is False


@pytest.mark.parametrize("override", ["training.seed", "=3", "training..seed=3", "task.name=3"])
def test_an_override_that_is_none(file: Path, override: str) -> None:
    with pytest.raises(ConfigError, match="--set"):
        read_config(file, [override])


def test_an_override_cannot_smuggle_in_other_keys(file: Path) -> None:
    with pytest.raises(ConfigError, match=r"training\.seed: expected int, got str"):
        read_config(file, ["training.seed=1\nother=2"])


@pytest.mark.parametrize("name", preset_names())
def test_presets_are_valid_and_survive_being_written(name: str, tmp_path: Path) -> None:
    config = read_config(name)
    path = tmp_path / "training.toml"
    path.write_text(encode_config(config), encoding="utf-8")
    assert read_config(path) == config


def test_the_example_is_valid() -> None:
    example = Path(__file__).parent.parent.parent / "examples" / "multi30k-en-de.toml"
    config = read_config(example)
    assert (config.model.d_model, config.tokenizer.vocab_size, config.decoding.beam) == (128, 10_000, 5)


def test_awkward_strings_survive_being_written(file: Path, tmp_path: Path) -> None:
    names = ['a "quoted" \\ name\t\n', "\x7f\x01", "però 𝄞"]
    text = MINIMAL.replace('builtin = "en-it"', "train = []")
    table = tomllib.loads(text)
    table["data"] = {"train": names[:2], "validation": [names[2], ""]}
    from attnkit.tasks.config_file import decode_config

    config = decode_config(table, "here")
    path = tmp_path / "written.toml"
    path.write_text(encode_config(config), encoding="utf-8", newline="")
    assert read_config(path) == config
    assert config.data.train == tuple(names[:2])


def test_a_preset_gives_way_to_a_file_of_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("en-it").write_text(MINIMAL)
    assert read_config("en-it").training.max_steps == 10
