"""The keys of training files as programs see them: explanations, and a JSON schema that knows what is right."""

from __future__ import annotations

import copy
import json
import tomllib
from importlib import resources
from typing import Any

import pytest
from command_line import complaint, output

from attnkit.tasks import keys
from attnkit.tasks.registry import config_types
from attnkit.training import encode_config, preset_names, read_config

SCHEMA = json.loads(json.dumps(keys.json_schema()))


def fits(value: Any, schema: dict[str, Any]) -> bool:
    """Whether a value is what a schema allows, for the words of JSON schema that `keys.json_schema` uses."""
    known = {
        "$ref", "anyOf", "enum", "type", "properties", "required", "additionalProperties", "items", "prefixItems",
        "minItems", "maxItems", "minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum", "minLength",
        "title", "description", "default", "discriminator", "$schema", "$defs",
    }  # fmt: skip
    assert schema.keys() <= known, schema.keys() - known
    if "$ref" in schema and not fits(value, SCHEMA["$defs"][schema["$ref"].removeprefix("#/$defs/")]):
        return False
    if "anyOf" in schema and not any(fits(value, one) for one in schema["anyOf"]):
        return False
    if "enum" in schema and value not in schema["enum"]:
        return False
    match schema.get("type"):
        case "object":
            properties = schema.get("properties", {})
            if isinstance(every := schema.get("additionalProperties"), dict):  # a table of any keys
                return isinstance(value, dict) and all(fits(item, every) for item in value.values())
            unknown = value.keys() - properties.keys() if isinstance(value, dict) else {"no table"}
            return (
                not unknown
                and value.keys() >= set(schema.get("required", ()))
                and all(fits(item, properties[key]) for key, item in value.items())
            )
        case "array":
            if not isinstance(value, list) or not schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", 99):
                return False
            first = schema.get("prefixItems", [])
            rest = schema.get("items") or {}
            return all(fits(item, first[i] if i < len(first) else rest) for i, item in enumerate(value))
        case "integer" | "number" as name:
            if isinstance(value, bool) or not isinstance(value, int if name == "integer" else int | float):
                return False
            return (
                schema.get("minimum", value) <= value <= schema.get("maximum", value)
                and not value <= schema.get("exclusiveMinimum", value - 1)
                and not value >= schema.get("exclusiveMaximum", value + 1)
            )
        case "string":
            return isinstance(value, str) and len(value) >= schema.get("minLength", 0)
        case "boolean":
            return isinstance(value, bool)
        case "null":
            return value is None
    return True


def test_every_key_is_explained() -> None:
    for config in config_types():
        for section in keys.sections(config):
            assert section.explanation, section.name
            assert [key.name for key in section.keys if not key.explanation] == []


@pytest.mark.parametrize("preset", preset_names())
def test_the_schema_takes_the_presets(preset: str) -> None:
    file = resources.files("attnkit") / "presets" / f"{preset}.toml"
    table = tomllib.loads(file.read_text(encoding="utf-8"))
    assert fits(table, SCHEMA)
    assert fits(tomllib.loads(encode_config(read_config(preset))), SCHEMA)  # every key written out


PRETRAINED = {
    "task": "translate",
    "pretrained": {"model": "models/en-de", "freeze": ["encoder.*"], "learning_rates": {"decoder.*": 0.1}},
    "data": {"train": ["a", "b"], "validation": ["c", "d"]},
    "training": {"max_epochs": 1},
}


@pytest.mark.parametrize(
    "wrong", [{"model": 3}, {"model": ""}, {"freez": []}, {"freeze": [1]}, {"learning_rates": {"a": 0}}, {}]
)
def test_the_schema_knows_pretrained_models(wrong: dict[str, Any]) -> None:
    assert fits(PRETRAINED, SCHEMA)
    table = {key: value for key, value in PRETRAINED["pretrained"].items() if wrong or key != "model"}
    assert not fits(PRETRAINED | {"pretrained": table | wrong}, SCHEMA)


def test_a_table_of_any_keys_is_explained() -> None:
    told = output("train", "--keys", "translate")
    assert "  model: str; required\n" in told[told.index("[pretrained]") :]
    assert "  learning_rates: table of float > 0.0; default {}\n" in told


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [
        ("training", "learning_rat", 0.1),
        ("training", "learning_rate", -1.0),
        ("training", "precision", "fp8"),
        ("training", "max_steps", "many"),
        ("training", "betas", [0.9]),
        ("model", "type", "perceptron"),
        ("tokenizer", "joint", 1),
    ],
)
def test_the_schema_refuses_what_the_reader_refuses(section: str, key: str, value: object) -> None:
    right = tomllib.loads(encode_config(read_config("en-it")))
    wrong = copy.deepcopy(right)
    wrong[section][key] = value
    assert fits(right, SCHEMA) and not fits(wrong, SCHEMA)
    with pytest.raises(ValueError, match=key):
        read_config("en-it", [f"{section}.{key}={json.dumps(value)}"])


def test_the_command_explains_keys() -> None:
    names = output("train", "--keys")
    tasks = ["translate", "classify", "caption", "language-model", "masked-language-model"]
    assert [line.split()[0] for line in names.splitlines()] == tasks
    assert "model.type: transformer, recurrent\n" in names
    told = output("train", "--keys", "caption")
    assert '[model.decoder]  type = "lstm"\n' in told
    assert '  kind: str; default "word"\n' in told  # the task's own default
    assert "  size: int >= 1, <= 4096; required\n      Rows of the image that the model reads" in told
    assert output("train", "--keys", "classify").count("task = ") == 2  # texts, images
    assert f"expected a task among {', '.join(tasks)}, got 'dance'" in complaint("train", "--keys", "dance", status=2)


def test_the_command_prints_the_schema() -> None:
    assert json.loads(output("train", "--schema")) == SCHEMA
