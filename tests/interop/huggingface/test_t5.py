"""Converted T5s do what transformers' own do: states, logits, token ids of searches, text behind a prompt."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import output
from marian_checkpoint import lines

import attnkit
from attnkit.decoding import DecodingOptions, Packed, decode
from attnkit.interop import convert
from attnkit.metrics.text import chrf

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
pytest.importorskip("tokenizers")
torch.set_num_threads(1)  # its threads would spin beside ours

from t5_checkpoint import PARAMS, SHAPES, checkpoint  # noqa: E402


@pytest.fixture(scope="module", params=list(SHAPES))
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Any]:
    folder = tmp_path_factory.mktemp("t5")
    theirs = checkpoint(folder / "hf", **SHAPES[request.param])
    assert convert(folder / "hf", folder / "ours").left_out == []
    return theirs, attnkit.load(folder / "ours", task="summarize")


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    folder = tmp_path_factory.mktemp("small")
    theirs = checkpoint(folder / "hf", **SHAPES["v1.0"])
    convert(folder / "hf", folder / "ours")
    return theirs, folder / "ours"


def sources(ours: Any) -> list[list[int]]:
    """Texts, and noise longer than the distances that have buckets of their own."""
    rng = np.random.default_rng(0)
    return [ours._read(0, line).ids for line in lines("source")[:6]] + [
        [*rng.integers(5, 200, length).tolist(), 1] for length in (1, 5, 40, 90)
    ]


def logits_of(model: Any, ids: list[int], target: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The encoder's states and the decoder's logits."""
    offsets, target_offsets = np.array([0, len(ids)], np.int32), np.array([0, len(target)], np.int32)
    memory = model.encode(np.asarray(ids, np.int32), offsets)
    return memory.numpy(), model.logits(model.decode(target, target_offsets, memory, offsets)).numpy()


def compare(theirs: Any, ours: Any) -> None:
    rng = np.random.default_rng(0)
    for ids in sources(ours):
        target = np.array([0, *rng.integers(5, 200, 30)], np.int32)
        memory, logits = logits_of(ours.model, ids, target)
        with torch.no_grad():
            output = theirs(torch.tensor([ids]), decoder_input_ids=torch.tensor([target.tolist()]))
        assert np.abs(memory - output.encoder_last_hidden_state[0].numpy()).max() < 1e-5
        assert np.abs(logits - output.logits[0].numpy()).max() < 1e-4


def generated(model: Any, ids: list[list[int]], **options: Any) -> list[list[int]]:
    """transformers' tokens, without start and end. Its cache is not for decoders of more layers than the encoder."""
    longest = max(map(len, ids))
    padded = torch.tensor([[*row, *[0] * (longest - len(row))] for row in ids])
    seen = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in ids])
    with torch.no_grad():
        rows = model.generate(padded, attention_mask=seen, use_cache=False, **options).tolist()
    return [row[1 : row.index(1)] if 1 in row else row[1:] for row in rows]


def test_states_and_logits(pair: tuple[Any, Any]) -> None:
    compare(*pair)


@pytest.mark.parametrize("shape", ["v1.0", "v1.1"])
def test_what_older_files_say_of_the_output(tmp_path: Path, shape: str) -> None:
    theirs = checkpoint(tmp_path / "hf", old=True, **SHAPES[shape])
    convert(tmp_path / "hf", tmp_path / "ours")
    compare(theirs, attnkit.load(tmp_path / "ours", task="summarize"))


@pytest.mark.parametrize("beam", [1, 4])
def test_token_ids(pair: tuple[Any, Any], beam: int) -> None:
    theirs, ours = pair
    ids = sources(ours)
    options = DecodingOptions(**ours._defaults.merge({"beam": beam}))
    found = decode(ours.model, Packed.of(ids), options, suppress=ours._suppress)
    got = [hypotheses[0].tokens.tolist() for hypotheses in found]
    assert got == generated(theirs, ids, num_beams=beam)
    assert len({tuple(row) for row in got}) > 5


def test_a_step_is_the_same_with_and_without_fusing(pair: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    model, ids = pair[1].model, sources(pair[1])
    options = DecodingOptions(beam=3, nbest=3, max_length=30)
    fused = decode(model, Packed.of(ids), options)
    monkeypatch.setattr(model.decoder, "fuse", lambda: None)
    for one, other in zip(fused, decode(model, Packed.of(ids), options), strict=True):
        assert [h.tokens.tolist() for h in one] == [h.tokens.tolist() for h in other]
        assert [h.score for h in one] == pytest.approx([h.score for h in other], rel=1e-6)


def test_a_prompt_stands_before_each_text_and_brings_its_search(small: tuple[Any, Path]) -> None:
    theirs, directory = small
    ours = attnkit.load(directory, task="summarize")
    text = " ".join(lines("source")[:3])
    assert ours.prompts == {name: params["prefix"] for name, params in PARAMS.items()}
    for prompt, name in ((None, "summarization"), ("translation_en_to_de", "translation_en_to_de")):
        params = {key: value for key, value in PARAMS[name].items() if key != "prefix"}
        ids = [*ours.source_tokenizer.encode(PARAMS[name]["prefix"] + text), 1]
        (expected,) = generated(theirs, [ids], **params)
        (got,) = ours.summarize([text], prompt=prompt)
        assert got.text == ours.target_tokenizer.decode(expected).strip()
        assert got.source_tokens == ours.source_tokenizer.pieces(ids)
    plain, said = ours.summarize([text], prompt=""), ours.summarize([text], prompt="say: ")
    assert plain[0].source_tokens == ours.source_tokenizer.pieces([*ours.source_tokenizer.encode(text), 1])
    assert said[0].source_tokens == ours.source_tokenizer.pieces([*ours.source_tokenizer.encode(f"say: {text}"), 1])
    with pytest.raises(ValueError, match="prompt: expected summarization, translation_en_to_de, or a text"):
        ours.summarize([text], prompt="translation_en_to_dd")


def test_it_translates_too(small: tuple[Any, Path]) -> None:
    theirs, directory = small
    ours = attnkit.load(directory, task="translate")
    found = [*lines("source")[:4], ""]
    ids = [[*ours.source_tokenizer.encode("translate English to German: " + line), 1] for line in found[:4]]
    expected = [ours.target_tokenizer.decode(row) for row in generated(theirs, ids, num_beams=2, max_length=20)]
    results = ours.translate(found, prompt="translation_en_to_de", attention=True)
    assert [result.text.strip() for result in results] == [*map(str.strip, expected), ""]
    # The words of the prompt are none of the line.
    first = results[0]
    assert set(first.source_words) == {-1, *range(len(found[0].split()))}
    assert len(first.source_words) == len(first.source_tokens)
    with pytest.raises(ValueError, match="got one of 'summarize'"):
        attnkit.load(directory, task="classify")


def test_it_is_measured_as_what_it_is_asked_for(small: tuple[Any, Path], tmp_path: Path) -> None:
    """By ROUGE, or with a --metric as a translator, whose prompt --prompt names."""
    texts = ["A man rides a horse .", "two women"]
    (tmp_path / "texts").write_text("\n".join(texts) + "\n")
    (tmp_path / "right").write_text("Ein Mann\nzwei Frauen rennt\n")
    both = ("evaluate", small[1], "--source", tmp_path / "texts", "--reference", tmp_path / "right", "--json")
    assert json.loads(output(*both))["documents"] == 2
    prompt = "translation_en_to_de"
    found = json.loads(output(*both, "--metric", "chrf", "--prompt", prompt))
    lines = [each.text for each in attnkit.load(small[1], task="translate").translate(texts, prompt=prompt)]
    assert found["chrf"]["score"] == pytest.approx(chrf(lines, ["Ein Mann", "zwei Frauen rennt"]).score)


def test_what_it_looks_at(small: tuple[Any, Path]) -> None:
    theirs, directory = small
    theirs.set_attn_implementation("eager")
    ours = attnkit.load(directory, task="summarize")
    text = lines("source")[0]
    target = lines("target")[0]
    maps = ours.attention(text, target)
    read = torch.tensor([ours._read(0, text, "summarize: ").ids])
    written = torch.tensor([[0, *ours.target_tokenizer.encode(target)]])
    with torch.no_grad():
        output = theirs(read, decoder_input_ids=written, output_attentions=True)
    for kind, weights in (
        ("encoder", output.encoder_attentions), ("decoder", output.decoder_attentions),
        ("cross", output.cross_attentions),
    ):  # fmt: skip
        expected = np.stack([layer[0].numpy() for layer in weights])
        assert np.abs(maps[kind].weights - expected).max() < 1e-5


@pytest.mark.parametrize("precision", ["bf16", "int8"])
def test_other_precisions(small: tuple[Any, Path], precision: Any) -> None:
    texts = lines("source")[:4]
    found = attnkit.load(small[1], precision, task="summarize").summarize(texts)
    assert all(result.tokens for result in found)
    assert [result.source_tokens for result in found] == [
        result.source_tokens for result in attnkit.load(small[1], task="summarize").summarize(texts)
    ]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"feed_forward_proj": "swiglu"}, "feed_forward_proj"),
        ({"relative_attention_num_buckets": 2**20}, "relative_attention_num_buckets"),
        ({"relative_attention_num_buckets": 32, "relative_attention_max_distance": 4}, "relative_buckets: expected 0"),
        ({"num_layers": 10**7}, "num_layers"),
        ({"num_layers": 3}, "block.2."),
        ({"num_layers": 1}, "expected no layer's tensor"),
        ({"d_kv": 2**40}, "larger model than its tensors"),
        ({"vocab_size": 10**9}, "larger model than its tensors"),
        ({"architectures": ["T5ForQuestionAnswering"]}, "T5ForQuestionAnswering"),
        ({"task_specific_params": 3}, "task_specific_params"),
        ({"eos_token_id": "x"}, "eos_token_id"),
        ({"eos_token_id": [1, 2]}, "eos_token_id: expected one token"),
    ],
)
def test_a_wrong_configuration_is_one_line(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    checkpoint(tmp_path / "hf", **SHAPES["v1.0"])
    file = tmp_path / "hf" / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | change))
    with pytest.raises(ValueError, match=message) as caught:
        convert(tmp_path / "hf", tmp_path / "ours")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "ours").exists()
