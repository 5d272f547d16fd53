"""The lists that name the options of a search say the same as `DecodingOptions`, or leave out what is said here."""

from __future__ import annotations

import types
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import click
import msgspec
import pytest

from attnkit.cli.caption import command as caption
from attnkit.cli.evaluate import command as evaluate
from attnkit.cli.generate import command as generate
from attnkit.cli.shared.search_options import SEARCH_OPTIONS, chosen_search
from attnkit.cli.translate import command as translate
from attnkit.decoding import DecodingOptions
from attnkit.decoding.defaults import DecodingDefaults
from attnkit.decoding.options import SearchArguments, decoding_options
from attnkit.tasks.shared.search_config import SearchConfig

TYPES = get_type_hints(DecodingOptions)
DEFAULTS = {field.name: field.default for field in msgspec.structs.fields(DecodingOptions)}

# What a user alone asks for, of whom a model knows nothing: how many answers, and other samples.
ASKED_FOR = {"nbest", "seed"}
SAMPLES = {"sample", "temperature", "top_k", "top_p"}
# What is measured is the best output of a search, as long as it likes, by attnkit's rules.
NOT_MEASURED = ASKED_FOR | SAMPLES | {"max_length", "rules", "early_stopping", "forced_end", "renormalize"}
# What makes a search that of another library comes with a model that was converted from it.
OF_OTHER_LIBRARIES = {"rules", "early_stopping", "forced_end", "renormalize"}


def plain(hint: Any) -> Any:
    """Without bounds, and without None."""
    if get_origin(hint) is Annotated:
        return plain(get_args(hint)[0])
    if get_origin(hint) in (Union, types.UnionType):
        return Union[tuple(plain(each) for each in get_args(hint) if each is not type(None))]  # noqa: UP007
    return hint


def test_keyword_arguments_are_all_the_options() -> None:
    assert get_type_hints(SearchArguments) == TYPES
    assert list(get_type_hints(SearchArguments)) == list(DEFAULTS)
    assert decoding_options() == DecodingOptions()


def test_a_model_brings_any_option_but_those_that_are_asked_for() -> None:
    hints = get_type_hints(DecodingDefaults, include_extras=True)
    del hints["suppress"], hints["first"], hints["shortlist"]  # which `decode` takes beside the options
    assert set(hints) == set(TYPES) - ASKED_FOR
    assert {name: plain(hint) for name, hint in hints.items()} == {name: plain(TYPES[name]) for name in hints}
    assert set(msgspec.structs.asdict(DecodingDefaults()).values()) == {None}


def test_training_measures_with_the_librarys_defaults() -> None:
    hints = get_type_hints(SearchConfig, include_extras=True)
    del hints["validation_beam"]  # `beam` while training goes on
    assert set(hints) == set(TYPES) - NOT_MEASURED
    assert {name: plain(hint) for name, hint in hints.items()} == {name: plain(TYPES[name]) for name in hints}
    assert SearchConfig().search(final=True) == {name: DEFAULTS[name] for name in hints}
    assert SearchConfig(validation_beam=3).search(final=False) == {name: DEFAULTS[name] for name in hints} | {"beam": 3}


@pytest.mark.parametrize("command", [translate, generate, caption, evaluate], ids=lambda command: command.name)
def test_commands_offer_every_option_but_those_of_other_libraries(command: click.Command) -> None:
    expected = set(TYPES) - OF_OTHER_LIBRARIES
    if command is evaluate:
        expected.remove("nbest")  # it scores the best alone
    given = {parameter.name: parameter.name for parameter in command.params if parameter.name in TYPES}
    assert set(given) == expected
    assert chosen_search({**given, "output": "-"}) == given
    needed = {caption: ["model", "image"], evaluate: ["model", "--source", "text", "--reference", "text"]}
    with command.make_context(str(command.name), needed.get(command, ["model"])) as context:
        assert chosen_search(context.params) == {}  # what is not given is the model's to choose, or the library's


def test_options_on_the_command_line_have_the_types_and_defaults_of_the_library() -> None:
    in_words = {("no_repeat_ngram", 0): "no rule", ("top_k", 0): "all", ("max_length", None): "{max_length}"}
    for option in SEARCH_OPTIONS:
        kind, default = plain(TYPES[option.field]), DEFAULTS[option.field]
        if kind is bool:
            assert option.type is None and default is False
            continue
        if option.field != "nbest":  # its help says nothing of a default
            assert option.default == in_words.get((option.field, default), str(default))
        if get_origin(kind) is Literal:
            assert tuple(option.type.choices) == get_args(kind)
        elif kind is int:
            low = option.type.min
            with pytest.raises(ValueError, match=f"expected {option.field} >= {low}, got {low - 1}"):
                DecodingOptions(**{option.field: low - 1})
        else:
            assert option.type is kind


def test_options_that_models_bring_say_so_in_the_help() -> None:
    brought = set(get_type_hints(DecodingDefaults)) & {option.field for option in SEARCH_OPTIONS}
    assert {option.field for option in SEARCH_OPTIONS if option.of_model} == brought
