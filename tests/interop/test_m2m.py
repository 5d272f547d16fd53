"""Converted models of M2M-100 and NLLB-200 do what transformers' own do: token ids, logits, searches, text."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from m2m_checkpoint import LAYOUTS, SHAPES, write_checkpoint
from marian_checkpoint import lines

import attnkit
from attnkit.decoding import DecodingOptions, Hypothesis, Packed, decode
from attnkit.interop import convert, convert_m2m
from attnkit.tasks.translate.text import Text

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")
torch.set_num_threads(1)  # its threads would spin beside ours

SOURCES = [line for line in lines("source") if len(line) < 36][:12]
CODES = {"nllb": ("eng_Latn", "ita_Latn"), "m2m": ("en", "it")}


def codes(layout: str) -> tuple[str, str]:
    return CODES[layout.split()[0]]


class Pair:
    """A checkpoint, transformers' model and tokenizer of it, and ours."""

    def __init__(self, folder: Path, **options: Any) -> None:
        self.source, self.directory = folder / "hf", folder / "ours"
        self.theirs, self.tokenizer = write_checkpoint(self.source, **options)
        self.converted = convert(self.source, self.directory)
        self.ours = attnkit.load(self.directory, task="translate")
        self.source_language, self.to = codes(options.get("layout", "nllb json"))
        self.target = self.ours.source_tokenizer.ids[self.to]
        self.tokenizer.src_lang = self.source_language
        rng = np.random.default_rng(0)
        noise = [rng.integers(4, 150, length).tolist() for length in rng.integers(1, 20, 12)]
        self.ids = [*self.tokenizer(SOURCES).input_ids, *([self.target, *ids, 2] for ids in noise)]

    def generate(self, **options: Any) -> tuple[list[list[int]], list[float]]:
        """transformers' tokens between the language's and the end of every sentence, and the scores of a beam
        search."""
        longest = max(map(len, self.ids))
        ids = torch.tensor([[*ids, *[1] * (longest - len(ids))] for ids in self.ids])
        options |= {"forced_bos_token_id": self.target, "return_dict_in_generate": True, "output_scores": True}
        with torch.no_grad():
            output = self.theirs.generate(ids, attention_mask=ids.ne(1).long(), **options)
        rows = output.sequences.tolist()
        assert all(row[:2] == [2, self.target] for row in rows)
        scores = output.sequences_scores.tolist() if "sequences_scores" in output else []
        return [row[2 : row.index(2, 2)] for row in rows], scores

    def search(self, **options: Any) -> list[Hypothesis]:
        merged = DecodingOptions(**self.ours._defaults.merge(options))
        first = [self.target] * len(self.ids)
        found = decode(self.ours.model, Packed.of(self.ids), merged, first=first, suppress=self.ours._suppress)
        return [hypotheses[0] for hypotheses in found]


@pytest.fixture(scope="module", params=list(SHAPES))
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    yield Pair(tmp_path_factory.mktemp("m2m"), **SHAPES[request.param])


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    return Pair(tmp_path_factory.mktemp("plain"), layout="nllb spm")


def test_states_and_logits(pair: Pair) -> None:
    rng = np.random.default_rng(0)
    model = pair.ours.model
    for ids in pair.ids:
        target = rng.integers(3, model.vocabulary_size, 9).astype(np.int32)
        target[0] = model.bos_id
        offsets, target_offsets = np.array([0, len(ids)], np.int32), np.array([0, len(target)], np.int32)
        memory = model.encode(np.asarray(ids, np.int32), offsets)
        hidden = model.decode(target, target_offsets, memory, offsets)
        logits = attnkit.ops.linear(hidden, model.output_weight, model.output_bias).numpy()
        with torch.no_grad():
            output = pair.theirs(torch.tensor([ids]), decoder_input_ids=torch.tensor([target.tolist()]))
        assert np.abs(memory.numpy() - output.encoder_last_hidden_state[0].numpy()).max() < 1e-4
        assert np.abs(logits - output.logits[0].numpy()).max() < 1e-4


NAMES = {"beam": "num_beams", "length_penalty": "length_penalty", "no_repeat_ngram": "no_repeat_ngram_size"}


def check_search(pair: Pair, **options: Any) -> list[Hypothesis]:
    theirs = {NAMES[name]: value for name, value in options.items() if name in NAMES}
    # Lengths there count the start token, the language's and the end.
    theirs |= {"max_length": options["max_length"] + 3} if "max_length" in options else {}
    theirs |= {"min_length": options["min_length"] + 2} if "min_length" in options else {}
    tokens, scores = pair.generate(**theirs)
    found = pair.search(**options)
    assert [hypothesis.tokens.tolist() for hypothesis in found] == tokens
    if options["beam"] > 1:
        assert [hypothesis.score for hypothesis in found] == pytest.approx(scores, rel=1e-4)
    return found


@pytest.mark.parametrize("beam", [1, 4])
def test_token_ids_and_scores(pair: Pair, beam: int) -> None:
    assert len({len(hypothesis.tokens) for hypothesis in check_search(pair, beam=beam)}) > 1


@pytest.mark.parametrize(
    "options",
    [{"length_penalty": 0.5}, {"length_penalty": -1.0}, {"max_length": 5}, {"min_length": 6, "no_repeat_ngram": 2}],
    ids=str,
)
def test_options_of_the_search(plain: Pair, options: dict[str, Any]) -> None:
    assert [h.score for h in check_search(plain, beam=4, **options)] != [h.score for h in plain.search(beam=4)]


def test_a_first_token_costs_nothing_and_is_no_token_of_the_output(plain: Pair) -> None:
    ours, source = plain.ours, Packed.of(plain.ids[:3])
    options = DecodingOptions(**ours._defaults.merge({"beam": 3, "nbest": 2}))
    found = decode(ours.model, source, options, first=[plain.target] * 3, attention=True)
    forced = decode(ours.model, source, options, prefixes=[[plain.target]] * 3)
    for one, other in zip(found, forced, strict=True):
        assert len(one) == 2 and plain.target not in one[0].tokens[:1] and other[0].tokens[0] == plain.target
        assert one[0].attention.shape[0] == len(one[0].tokens)
        assert one[0].log_probability > other[0].log_probability
    samples = DecodingOptions(beam=1, sample=True, nbest=4, seed=2)
    drawn = decode(ours.model, source, samples, first=[plain.target] * 3)
    assert len({tuple(h.tokens.tolist()) for h in drawn[0]}) > 1
    behind = decode(ours.model, source, options, first=[plain.target] * 3, prefixes=[[20, 21]] * 3)
    assert all(h[0].tokens[:2].tolist() == [20, 21] for h in behind)
    with pytest.raises(ValueError, match="expected a first token, and a prefix if any, for each of 3 sentences"):
        decode(ours.model, source, options, first=[plain.target])


# ----- Text

TEXTS = [*lines("source")[:60], *lines("target")[:60], "Ωmega ﬁ  Zoë\u00a0x\t!", "xyz 123 « – » “q”", "日本 a 日", "a"]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_tokenizers(layout: str, tmp_path: Path) -> None:
    made = Pair(tmp_path, layout=layout)
    theirs, ours = made.tokenizer, made.ours
    assert len(ours.languages) == {"n": 202, "m": 100}[layout[0]] and ours.source_languages == ours.languages
    other = {"nllb": "zho_Hant", "m2m": "zh"}[layout.split()[0]]
    for language in (made.source_language, made.to, other):
        theirs.src_lang = language
        expected = [theirs(text).input_ids for text in TEXTS]
        direction = ours._languages.direction(language, made.to)
        read = [ours._read_text(0, Text(text, "", 0, direction), None) for text in TEXTS]
        assert [source.ids for source in read] == expected
        target = f"__{made.to}__" if layout == "m2m" else made.to
        assert {source.first for source in read} == {theirs.convert_tokens_to_ids(target)}
    for ids in expected:  # of the last language
        text = theirs.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        found = ours.target_tokenizer.decode(ids)
        assert found.split() == text.replace(f"__{other}__", "").split()  # version 5 leaves that in the text
    assert ours.source_tokenizer.unknown("the 日本") == ["日本"]
    for name in ("eng_Latn", "__en__", "</s>", "<mask>"):  # the letters of a special token are text
        assert not {*ours.source_tokenizer.encode(f"a {name}")} & {0, 1, 2, *ours.source_tokenizer.ids.values()}


def test_the_token_of_a_language_may_stand_last(tmp_path: Path) -> None:
    made = Pair(tmp_path, layout="nllb json", tokenizer={"legacy_behaviour": True})
    assert json.loads((made.directory / "config.json").read_text())["tokenizer"]["language_last"] is True
    language = made.ours.source_tokenizer.ids["eng_Latn"]
    [result] = made.ours.translate(["the dog sees"], source_language="eng_Latn", to="ita_Latn", attention=True)
    assert result.source_tokens[-2:] == ["</s>", "eng_Latn"] and result.source_words[-2:] == [-1, -1]
    assert result.source_words[0] == 0 and max(result.source_words) == 2
    direction = made.ours._languages.direction("eng_Latn", "ita_Latn")
    for text in TEXTS:
        source = made.ours._read_text(0, Text(text, "", 0, direction), None)
        assert source.ids == made.tokenizer(text).input_ids and source.ids[-1] == language
    long = made.ours._read_text(0, Text("dog " * 60, "", 0, direction), None)
    assert long.unread and len(long.ids) == 48 and long.ids[-2:] == [2, language]


def test_translation_is_the_text_of_the_ids(plain: Pair) -> None:
    tokens, _ = plain.generate(num_beams=1)
    results = plain.ours.translate([*SOURCES, ""], source_language="eng_Latn", to="ita_Latn", attention=True)
    for result, ids in zip(results, tokens[: len(SOURCES)], strict=False):
        assert result.tokens == plain.ours.target_tokenizer.pieces(ids)
        assert result.text == plain.ours.target_tokenizer.decode(ids)
        assert result.source_tokens[0] == "eng_Latn" and result.source_tokens[-1] == "</s>"
        assert result.source_words[0] == result.source_words[-1] == -1
        assert result.attention.shape == (len(result.tokens), len(result.source_tokens))
    assert results[-1].text == "" and not results[-1].tokens


def test_languages_by_name(plain: Pair) -> None:
    def texts(**languages: str) -> list[str]:
        return [result.text for result in plain.ours.translate(SOURCES, **languages)]

    own = texts(source_language="eng_Latn", to="ita_Latn")
    assert texts(source_language="en", to="it") == texts(source_language="eng", to="ITA_latn") == own
    assert texts(source_language="en", to="de") != own != texts(source_language="fr", to="it")
    tagged = [f">>{name}<< {line}" for name, line in zip(["ita_Latn", "it"] * 6, SOURCES, strict=True)]
    for to in ({}, {"to": "de"}):  # a line goes by its own tag
        assert [r.text for r in plain.ours.translate(tagged, source_language="en", **to)] == own
    [result] = plain.ours.translate([">>it<< the dog"], source_language="en", attention=True)
    assert (
        result.source_words == [-1, *(word for word in result.source_words[1:-1]), -1] and result.source_words[1] == 1
    )


@pytest.mark.parametrize(
    ("languages", "message"),
    [
        ({"to": "it"}, "expected one of 202 languages, .*by source_language or --from, got none"),
        ({"source_language": "xx", "to": "it"}, "one of 202 languages, .*got 'xx'"),
        ({"source_language": "en", "to": "zh"}, "perhaps zho_Hans, zho_Hant, .*got 'zh'"),
        ({"source_language": "en", "to": "ger_Latn"}, "got 'ger_Latn'"),
        ({"source_language": "en", "to": "deu_Cyrl"}, "perhaps deu_Latn, .*got 'deu_Cyrl'"),
        ({"source_language": "en"}, "for line 1, got none; say it by to, or by a tag such as >>ace_Arab<<"),
    ],
    ids=str,
)
def test_other_languages_are_refused(plain: Pair, languages: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        plain.ours.translate(["the dog"], **languages)
    with pytest.raises(ValueError, match=r"one of 202 languages.* for line 2, got xyz"):
        plain.ours.translate(["the dog", ">>xyz<< the dog"], source_language="en", to="it")


def test_defaults_of_the_checkpoint_are_kept(tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "hf", layout="nllb both", tokenizer={"src_lang": "eng_Latn", "tgt_lang": "fra_Latn"})
    converted = convert_m2m(tmp_path / "hf", tmp_path / "plain")
    assert not converted.left_out
    config = json.loads((tmp_path / "plain" / "config.json").read_text())
    assert config["tokenizer"]["source_language"] == "eng_Latn" and config["tokenizer"]["target_language"] == "fra_Latn"
    assert config["decoding"] == {
        "beam": 1, "min_length": 0, "max_length": 21, "length_penalty": 1.0, "normalization": "average",
        "rules": "transformers", "renormalize": False, "no_repeat_ngram": 0, "suppress": [],
    }  # fmt: skip
    model = config["model"]
    assert (model["norm"], model["position_offset"], model["position_spacing"]) == ("pre", 2, "tensor2tensor")
    plain = attnkit.load(tmp_path / "plain")
    given = plain.translate(SOURCES, source_language="en", to="fr")
    assert [r.text for r in plain.translate(SOURCES)] == [r.text for r in given]

    file = tmp_path / "hf" / "generation_config.json"
    italian = plain.source_tokenizer.ids["ita_Latn"]
    more = {"forced_bos_token_id": italian, "num_beams": 3, "max_length": 9, "min_length": 4, "early_stopping": True}
    file.write_text(json.dumps(json.loads(file.read_text()) | more))
    converted = convert_m2m(tmp_path / "hf", tmp_path / "fixed")
    assert converted.left_out == []
    fixed = attnkit.load(tmp_path / "fixed")
    expected = plain.translate(SOURCES, to="it", beam=3, max_length=6, min_length=2, early_stopping=True)
    assert [(r.text, r.score) for r in fixed.translate(SOURCES)] == [(r.text, r.score) for r in expected]


def test_other_ways_to_run(plain: Pair, tmp_path: Path) -> None:
    """Narrow types, shortlists, prefixes, samples and n-best lists."""
    from attnkit.tasks.translate.shortlist_source import build

    languages = {"source_language": "en", "to": "it"}
    exact = plain.ours.translate(SOURCES, **languages)
    for precision in ("bf16", "int8"):
        narrow = attnkit.load(plain.directory, precision=precision, task="translate")
        results = narrow.translate(SOURCES, **languages)
        assert len(results) == len(SOURCES) and sum(len(result.tokens) for result in results)
    shortlist = build(plain.ours, SOURCES, [result.text for result in exact])
    shortlist.save(tmp_path / "list")
    few = plain.ours.translate(SOURCES, shortlist=shortlist, **languages)
    allowed = {*shortlist.always.tolist(), *shortlist.ids.tolist(), 2}
    assert all(set(map(plain.ours.target_tokenizer.vocabulary.ids.get, r.tokens)) <= allowed for r in few)
    [given] = plain.ours.translate(SOURCES[:1], prefix="il ☃", nbest=2, beam=2, **languages)
    assert given.text.startswith("il ☃") and given.unknown == ["☃"] and len(given.alternatives) == 1
    [drawn] = plain.ours.translate(SOURCES[:1], sample=True, nbest=3, **languages)
    assert len(drawn.alternatives) == 2
    with pytest.raises(ValueError, match="expected max_length <= 46, the most that this model writes, got 47"):
        plain.ours.translate(SOURCES, max_length=47, **languages)


# ----- Files


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_is_read_exactly(dtype: str, tmp_path: Path) -> None:
    from attnkit.models import load_weights

    model, _ = write_checkpoint(tmp_path / "hf", dtype=dtype)
    convert(tmp_path / "hf", tmp_path / "ours")
    found = load_weights(tmp_path / "ours" / "model.safetensors")
    assert np.array_equal(found["source_embedding.weight"], model.model.shared.weight.detach().numpy())
    assert np.array_equal(found["decoder.last_norm.bias"], model.model.decoder.layer_norm.bias.detach().numpy())


def test_shards_and_names_of_older_checkpoints(tmp_path: Path) -> None:
    from safetensors.numpy import load_file, save_file

    write_checkpoint(tmp_path / "whole")
    write_checkpoint(tmp_path / "shards", shards="20KB")
    assert len(list((tmp_path / "shards").glob("*.safetensors"))) > 2
    file = tmp_path / "whole" / "model.safetensors"
    convert(tmp_path / "whole", tmp_path / "whole-ours")
    tensors = load_file(file)
    table = attnkit.nn.sinusoids(50, 16, halves=True, spacing="tensor2tensor")
    table[1] = 0
    for side in ("encoder", "decoder"):
        tensors[f"model.{side}.embed_tokens.weight"] = tensors["model.shared.weight"].copy()
        tensors[f"model.{side}.embed_positions.weights"] = table
    tensors["lm_head.weight"] = tensors["model.shared.weight"].copy()
    save_file(tensors, file)
    for name in ("shards", "whole"):
        assert not convert(tmp_path / name, tmp_path / f"{name}-again").left_out
    first, *others = (
        (tmp_path / name / "model.safetensors").read_bytes() for name in ("whole-ours", "shards-again", "whole-again")
    )
    assert all(other == first for other in others)
    for name, message in (("lm_head.weight", "to be one"), ("model.decoder.embed_positions.weights", "sinusoids")):
        save_file(tensors | {name: tensors[name] + 1}, file)
        with pytest.raises(ValueError, match=message):
            convert(tmp_path / "whole", tmp_path / "no")


def test_the_three_layouts_of_a_tokenizer_are_one(tmp_path: Path) -> None:
    """Also that of older files, where languages are pieces of tokenizer.json and merges are strings."""
    ids = []
    for layout in ("nllb json", "nllb spm", "nllb both", "old"):
        folder = tmp_path / layout
        write_checkpoint(folder, layout=layout.replace("old", "nllb json"))
        if layout == "old":
            table = json.loads((folder / "tokenizer.json").read_text())
            table["model"]["vocab"] |= {token["content"]: token["id"] for token in table["added_tokens"]}
            table["model"]["merges"] = [" ".join(pair) for pair in table["model"]["merges"]]
            table["normalizer"] = table["normalizer"]["normalizers"][0]
            (folder / "tokenizer.json").write_text(json.dumps(table))
        convert(folder, tmp_path / f"{layout}-ours")
        ours = attnkit.load(tmp_path / f"{layout}-ours").source_tokenizer
        ids.append([ours.encode(text) for text in TEXTS])
        assert ours.encode(">>deu_Latn<< a") == [ours.ids["deu_Latn"], *ours.encode("a")]
    assert ids[0] == ids[1] == ids[2] == ids[3]


def test_added_tokens_are_found_in_a_text(tmp_path: Path) -> None:
    """A language that was added becomes one to read and write; other tokens are found wherever they stand."""
    write_checkpoint(tmp_path / "hf", layout="nllb both")
    file = tmp_path / "hf" / "tokenizer.json"
    table = json.loads(file.read_text())
    plain = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    table["added_tokens"].append({"id": 390, "content": "myv_Cyrl", "special": True, **plain})
    table["added_tokens"].append({"id": 391, "content": "<nl>", "special": False, **plain})
    file.write_text(json.dumps(table))
    convert(tmp_path / "hf", tmp_path / "ours")
    ours = attnkit.load(tmp_path / "ours")
    assert "myv_Cyrl" in ours.languages and ours.source_tokenizer.encode(">>myv_Cyrl<< a<nl>")[::2] == [390, 391]
    assert ours.target_tokenizer.decode([390, 391]) == "<nl>"
