"""Converted Marian models do what transformers' own do: states, logits, token ids, scores, text."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from marian_checkpoint import SHAPES, lines, write_checkpoint

import attnkit
from attnkit.decoding import DecodingOptions, Hypothesis, Packed, decode
from attnkit.interop import convert_marian
from attnkit.text.forced import Forced

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")
torch.set_num_threads(1)  # its threads would spin beside ours

SOURCES = [line for line in lines("source") if len(line) < 36][:12]


class Pair:
    """A checkpoint, transformers' model of it, and ours."""

    def __init__(self, folder: Path, **options: Any) -> None:
        self.source, self.directory = folder / "hf", folder / "ours"
        self.theirs = write_checkpoint(self.source, **options)
        self.converted = convert_marian(self.source, self.directory)
        self.ours = attnkit.load(self.directory)
        rng = np.random.default_rng(0)
        noise = [rng.integers(2, 130, length).tolist() for length in rng.integers(1, 20, 12)]
        self.ids = [[*ids, 0] for ids in [*map(self.ours.source_tokenizer.encode, SOURCES), *noise]]

    def generate(self, **options: Any) -> tuple[list[list[int]], list[float]]:
        """transformers' tokens between start and end of every sentence, and the scores of a beam search."""
        pad, longest = self.theirs.config.pad_token_id, max(map(len, self.ids))
        ids = torch.tensor([[*ids, *[pad] * (longest - len(ids))] for ids in self.ids])
        mask = torch.tensor([[1] * len(ids) + [0] * (longest - len(ids)) for ids in self.ids])
        with torch.no_grad():
            output = self.theirs.generate(
                ids, attention_mask=mask, return_dict_in_generate=True, output_scores=True, **options
            )
        rows = [row[1:] for row in output.sequences.tolist()]
        scores = output.sequences_scores.tolist() if "sequences_scores" in output else []
        return [row[: row.index(0)] for row in rows], scores

    def search(self, **options: Any) -> list[Hypothesis]:
        merged = self.ours._defaults.merge(options)
        found = decode(self.ours.model, Packed.of(self.ids), DecodingOptions(**merged), suppress=self.ours._suppress)
        return [hypotheses[0] for hypotheses in found]


@pytest.fixture(scope="module", params=list(SHAPES))
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    yield Pair(tmp_path_factory.mktemp("marian"), **SHAPES[request.param])


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    return Pair(tmp_path_factory.mktemp("plain"))


def test_states_and_logits(pair: Pair) -> None:
    rng = np.random.default_rng(0)
    model = pair.ours.model
    for ids in pair.ids:
        target = rng.integers(1, model.vocabulary_size - 1, 9).astype(np.int32)
        target[0] = model.bos_id
        offsets, target_offsets = np.array([0, len(ids)], np.int32), np.array([0, len(target)], np.int32)
        memory = model.encode(np.asarray(ids, np.int32), offsets)
        hidden = model.decode(target, target_offsets, memory, offsets)
        logits = attnkit.ops.linear(hidden, model.output_weight, model.output_bias).numpy()
        with torch.no_grad():
            output = pair.theirs(torch.tensor([ids]), decoder_input_ids=torch.tensor([target.tolist()]))
        assert np.abs(memory.numpy() - output.encoder_last_hidden_state[0].numpy()).max() < 1e-4
        assert np.abs(logits - output.logits[0].numpy()).max() < 1e-4


@pytest.mark.parametrize("name", ["gelu_new", "gelu_pytorch_tanh", "gelu_fast", "quick_gelu"])
def test_approximations_of_gelu(name: str, tmp_path: Path) -> None:
    made = Pair(tmp_path, seed=1, activation_function=name)
    assert made.ours.model.config.activation == ("quick_gelu" if name == "quick_gelu" else "gelu_tanh")
    test_states_and_logits(made)


NAMES = {
    "beam": "num_beams", "renormalize": "renormalize_logits", "length_penalty": "length_penalty",
    "no_repeat_ngram": "no_repeat_ngram_size", "repetition_penalty": "repetition_penalty",
}  # fmt: skip


def check_search(pair: Pair, **options: Any) -> None:
    theirs = {NAMES[name]: value for name, value in options.items() if name in NAMES}
    # Lengths there count the start token and the end.
    theirs |= {"max_length": options["max_length"] + 2} if "max_length" in options else {}
    theirs |= {"min_length": options["min_length"] + 1} if "min_length" in options else {}
    tokens, scores = pair.generate(**theirs)
    found = pair.search(**options)
    assert [hypothesis.tokens.tolist() for hypothesis in found] == tokens
    if options["beam"] > 1:
        assert [hypothesis.score for hypothesis in found] == pytest.approx(scores, rel=1e-4)


@pytest.mark.parametrize("beam", [1, 4])
def test_token_ids_and_scores(pair: Pair, beam: int) -> None:
    check_search(pair, beam=beam)
    assert len({len(hypothesis.tokens) for hypothesis in pair.search(beam=beam)}) > 1


@pytest.mark.parametrize("renormalize", [True, False])
@pytest.mark.parametrize("beam", [1, 4])
@pytest.mark.parametrize("penalty", [1.3, 0.8])
def test_the_repetition_penalty(pair: Pair, penalty: float, beam: int, renormalize: bool) -> None:
    check_search(pair, beam=beam, repetition_penalty=penalty, renormalize=renormalize)
    free, punished = (pair.search(beam=beam, repetition_penalty=each) for each in (1.0, penalty))
    assert [hypothesis.tokens.tolist() for hypothesis in free] != [h.tokens.tolist() for h in punished]


@pytest.mark.parametrize(
    "options",
    [
        {"renormalize": False},
        {"length_penalty": 0.5},
        {"length_penalty": -1.0},
        {"max_length": 5},
        {"min_length": 6, "no_repeat_ngram": 2},
        {"min_length": 6, "no_repeat_ngram": 2, "repetition_penalty": 1.2},
    ],
    ids=str,
)
def test_options_of_the_search(plain: Pair, options: dict[str, Any]) -> None:
    check_search(plain, beam=4, **options)
    scores = [[hypothesis.score for hypothesis in plain.search(beam=4, **more)] for more in ({}, options)]
    assert scores[0] != scores[1]


def test_rules_matter(plain: Pair) -> None:
    theirs, own = (plain.search(beam=4, rules=rules) for rules in ("transformers", "attnkit"))
    assert [h.tokens.tolist() for h in theirs] != [h.tokens.tolist() for h in own]
    assert [h.tokens.tolist() for h in plain.search(beam=1)] == [
        h.tokens.tolist() for h in plain.search(beam=1, rules="attnkit")
    ]


# ----- Text


@pytest.mark.filterwarnings("ignore:Recommended. pip install sacremoses")
@pytest.mark.parametrize("shape", ["plain", "separate"])
def test_tokenizers(shape: str, tmp_path: Path) -> None:
    from transformers import MarianTokenizer

    options = SHAPES[shape]
    write_checkpoint(tmp_path / "hf", **options)
    convert_marian(tmp_path / "hf", tmp_path / "ours")
    theirs, ours = MarianTokenizer.from_pretrained(tmp_path / "hf"), attnkit.load(tmp_path / "ours")
    tags = [">>ita<< the dog sees", ">>fra<<the dog", ">>xyz<< a dog", "no >>fra<< here", ">> alone", ">><<", "<< x"]
    texts = [*lines("source")[:100], *tags, "Ωmega ﬁ  Zoë\u00a0x\t!", "xyz 123 « – » “q”", "日本", "a"]
    for text in texts:
        ids = ours.source_tokenizer.encode(text)
        assert [*ids, ours.source_tokenizer.eos_id] == theirs(text).input_ids, text
    assert ours.source_tokenizer.unknown(">>xyz<< the 日") == [">>xyz<<", "日"]
    assert ours.source_tokenizer.encode(">>fra<< a")[0] == ours.source_tokenizer.vocabulary.ids[">>fra<<"] > 1
    for text in [*lines("target")[:100], *texts]:
        ids = ours.target_tokenizer.encode(text)
        assert [*ids, ours.target_tokenizer.eos_id] == theirs(text_target=text).input_ids, text
        text = theirs.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        assert ours.target_tokenizer.decode([*ids, ours.target_tokenizer.eos_id]) == text


@pytest.mark.filterwarnings("ignore:Recommended. pip install sacremoses")
@pytest.mark.parametrize("file", ["added_tokens.json", "tokenizer_config.json"])
def test_added_tokens(file: str, tmp_path: Path) -> None:
    from transformers import MarianTokenizer

    write_checkpoint(tmp_path / "hf")
    vocabulary = json.loads((tmp_path / "hf" / "vocab.json").read_text())
    ids = {"<nl>": vocabulary.pop("filler0"), "<nl2>": vocabulary.pop("filler1"), "☃": vocabulary.pop("filler2")}
    (tmp_path / "hf" / "vocab.json").write_text(json.dumps(vocabulary))
    settings = json.loads((tmp_path / "hf" / "tokenizer_config.json").read_text())
    if file == "added_tokens.json":
        (tmp_path / "hf" / file).write_text(json.dumps(ids))
    else:
        settings["added_tokens_decoder"] = {
            str(number): {"content": token, "special": token == "☃", "lstrip": False, "rstrip": False,
                          "normalized": False, "single_word": False}
            for token, number in ids.items()
        }  # fmt: skip
    settings["additional_special_tokens"] = ["☃"]
    (tmp_path / "hf" / "tokenizer_config.json").write_text(json.dumps(settings))
    convert_marian(tmp_path / "hf", tmp_path / "ours")
    theirs, ours = MarianTokenizer.from_pretrained(tmp_path / "hf"), attnkit.load(tmp_path / "ours")
    for text in ("the dog<nl> a cat <nl2>", "<nl><nl2>", ">>fra<<the ☃ dog<nl>☃", "<nl", "the☃dog"):
        found = ours.source_tokenizer.encode(text)
        assert [*found, ours.source_tokenizer.eos_id] == theirs(text).input_ids, text
        found = ours.target_tokenizer.encode(text)
        plain = theirs.decode(found, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        assert ours.target_tokenizer.decode(found) == plain, text
    assert ours.source_tokenizer.unknown("a ☃<nl>") == []
    [result] = ours.translate(["the dog"], prefix="il<nl> ")
    assert result.text.startswith("il<nl>")


def test_a_tensor_that_nothing_wants_is_left_out(tmp_path: Path) -> None:
    from safetensors.numpy import load_file, save_file

    write_checkpoint(tmp_path / "hf")
    file = tmp_path / "hf" / "model.safetensors"
    save_file(load_file(file) | {"model.extra.scale": np.ones(3, np.float32)}, file)
    converted = convert_marian(tmp_path / "hf", tmp_path / "ours")
    assert [line for line in converted.left_out if "model.extra.scale is left out" in line]
    assert attnkit.load(tmp_path / "ours").translate(SOURCES[:1])[0].tokens


def test_a_prefix_stands_as_it_was_given(plain: Pair) -> None:
    for given in ("☃", "il ☃", "☃ il", "il  gatto"):
        [result] = plain.ours.translate([SOURCES[0]], prefix=given)
        assert result.text.startswith(given) and result.unknown == ["☃"] * ("☃" in given)
        forced = Forced.read(given, plain.ours.target_tokenizer)
        ids = plain.ours.target_tokenizer.encode(f"{given} cane")
        assert forced.whole(ids, plain.ours.target_tokenizer) == f"{given} cane"


def test_translation_is_the_text_of_the_ids(plain: Pair) -> None:
    results = plain.ours.translate([*SOURCES, "", ">>ita<< the dog"], attention=True)
    tokens, _ = plain.generate(num_beams=1)
    assert plain.theirs.generation_config.num_beams in (None, 1)
    for result, ids in zip(results[: len(SOURCES)], tokens[: len(SOURCES)], strict=True):
        assert result.tokens == plain.ours.target_tokenizer.pieces(ids)
        assert result.text == plain.ours.target_tokenizer.decode(ids)
        assert result.attention.shape == (len(result.tokens), len(result.source_tokens))
        assert np.abs(result.attention.sum(axis=1) - 1).max(initial=0.0) < 1e-5
    assert results[len(SOURCES)].text == "" and results[-1].source_tokens[0] == ">>ita<<"
    assert plain.ours.languages == ("fra", "ita")
    tagged = plain.ours.translate(["the dog", ">>fra<< the dog"], to="ita")
    assert [result.source_tokens[0] for result in tagged] == [">>ita<<", ">>fra<<"]
    assert tagged[0].source_tokens == results[-1].source_tokens
    with pytest.raises(ValueError, match="expected a language among fra, ita, got 'deu'"):
        plain.ours.translate(["the dog"], to="deu")


def test_defaults_of_the_checkpoint_are_kept(tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "hf")
    file = tmp_path / "hf" / "generation_config.json"
    settings = json.loads(file.read_text())
    settings |= {"num_beams": 3, "max_length": 9, "min_length": 4, "length_penalty": 0.7, "no_repeat_ngram_size": 2}
    settings |= {"early_stopping": True, "diversity_penalty": 1.5, "repetition_penalty": 1.1, "temperature": 1.0}
    file.write_text(json.dumps(settings))
    converted = convert_marian(tmp_path / "hf", tmp_path / "ours")
    assert ["diversity_penalty = 1.5" in line for line in converted.left_out] == [True]
    translator = attnkit.load(tmp_path / "ours")
    expected = {"beam": 3, "max_length": 7, "min_length": 3, "length_penalty": 0.7, "no_repeat_ngram": 2}
    expected["repetition_penalty"] = 1.1
    given = {"rules": "transformers", "early_stopping": True, "renormalize": True, "normalization": "average"}
    plain = translator.translate(SOURCES)
    assert [r.score for r in plain] == [r.score for r in translator.translate(SOURCES, **expected, **given)]
    assert [r.score for r in plain] != [r.score for r in translator.translate(SOURCES, beam=1)]
    assert max(len(r.tokens) for r in plain) <= 7 and min(len(r.tokens) for r in plain) >= 3
    assert len(translator.translate(SOURCES, sample=True)) == len(SOURCES)  # with a beam of one
    # Before generation_config.json its settings stood in config.json.
    file.unlink()
    config = tmp_path / "hf" / "config.json"
    config.write_text(json.dumps({**settings, **json.loads(config.read_text())}))
    convert_marian(tmp_path / "hf", tmp_path / "old")
    assert (tmp_path / "old" / "config.json").read_bytes() == (tmp_path / "ours" / "config.json").read_bytes()


# ----- Files


def weights(folder: Path) -> dict[str, Any]:
    from attnkit.models import load_weights

    return load_weights(folder / "model.safetensors")


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_is_read_exactly(dtype: str, tmp_path: Path) -> None:
    model = write_checkpoint(tmp_path / "hf", dtype=dtype)
    convert_marian(tmp_path / "hf", tmp_path / "ours")
    expected = model.model.shared.weight.detach().numpy()
    assert np.array_equal(weights(tmp_path / "ours")["source_embedding.weight"], expected)
    assert np.array_equal(weights(tmp_path / "ours")["tied_output_bias"], model.final_logits_bias[0].numpy())


def test_shards(tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "whole")
    write_checkpoint(tmp_path / "shards", shards="20KB")
    assert len(list((tmp_path / "shards").glob("*.safetensors"))) > 2
    assert not (tmp_path / "shards" / "model.safetensors").exists()
    for name in ("whole", "shards"):
        convert_marian(tmp_path / name, tmp_path / f"{name}-ours")
    whole, shards = ((tmp_path / f"{name}-ours" / "model.safetensors").read_bytes() for name in ("whole", "shards"))
    assert whole == shards


def test_names_of_older_checkpoints(tmp_path: Path) -> None:
    """A tied matrix under all its names, and the sinusoids, were saved by older versions of transformers."""
    from safetensors.numpy import load_file, save_file

    write_checkpoint(tmp_path / "hf")
    convert_marian(tmp_path / "hf", tmp_path / "ours")
    file = tmp_path / "hf" / "model.safetensors"
    tensors = load_file(file)
    positions = attnkit.nn.sinusoids(48, 16, halves=True)
    for name in ("model.encoder.embed_tokens.weight", "model.decoder.embed_tokens.weight", "lm_head.weight"):
        tensors[name] = tensors["model.shared.weight"].copy()
    for side in ("encoder", "decoder"):
        tensors[f"model.{side}.embed_positions.weight"] = positions
    del tensors["final_logits_bias"]
    save_file(tensors, file)
    convert_marian(tmp_path / "hf", tmp_path / "again")
    one, two = weights(tmp_path / "ours"), weights(tmp_path / "again")
    assert not two.pop("tied_output_bias").any() and one.pop("tied_output_bias").any()
    assert one.keys() == two.keys() and all(np.array_equal(one[name], two[name]) for name in one)
    for name, message in (("lm_head.weight", "to be one"), ("model.encoder.embed_positions.weight", "sinusoids")):
        save_file(tensors | {name: tensors[name] + 1}, file)
        with pytest.raises(ValueError, match=message):
            convert_marian(tmp_path / "hf", tmp_path / "no")
