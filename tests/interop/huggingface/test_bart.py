"""Converted BART, mBART and Pegasus do what transformers' own do: states, logits, token ids of searches, text."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from marian_checkpoint import lines
from seq2seq_checkpoint import SHAPES, write_checkpoint

import attnkit
from attnkit.decoding import DecodingOptions, Hypothesis, Packed, decode
from attnkit.interop import convert

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("tokenizers")
torch.set_num_threads(1)  # its threads would spin beside ours

TEXTS = [line for line in lines("source") if len(line) < 36][:12]


class Pair:
    """A checkpoint, transformers' model of it, and ours."""

    def __init__(self, folder: Path, **options: Any) -> None:
        self.source, self.directory = folder / "hf", folder / "ours"
        self.theirs = write_checkpoint(self.source, **options)
        self.converted = convert(self.source, self.directory)
        self.ours = attnkit.load(self.directory, task="summarize")
        rng = np.random.default_rng(0)
        noise = [rng.integers(5, 200, length).tolist() for length in rng.integers(1, 30, 12)]
        self.ids = [self.ours._read(0, text).ids for text in TEXTS] + [
            self.ours.source_tokenizer.closed(ids, self.ours.source_tokenizer.eos_id) for ids in noise
        ]

    def generate(self, **options: Any) -> tuple[list[list[int]], list[float]]:
        """transformers' tokens of each text, without start, first token and end, and the scores of a beam search."""
        longest, config = max(map(len, self.ids)), self.theirs.generation_config
        padded = torch.tensor([[*ids, *[config.pad_token_id] * (longest - len(ids))] for ids in self.ids])
        seen = torch.tensor([[1] * len(ids) + [0] * (longest - len(ids)) for ids in self.ids])
        options |= {"return_dict_in_generate": True, "output_scores": True}
        with torch.no_grad():
            output = self.theirs.generate(padded, attention_mask=seen, **options)
        before = 1 if config.forced_bos_token_id is None else 2
        rows = [row[before:] for row in output.sequences.tolist()]
        end = config.eos_token_id
        scores = output.sequences_scores.tolist() if "sequences_scores" in output else []
        return [row[: row.index(end)] if end in row else row for row in rows], scores

    def search(self, **options: Any) -> list[Hypothesis]:
        """The best hypotheses of each text, one after the other."""
        merged = DecodingOptions(**self.ours._defaults.merge(options))
        first = None if self.ours._first is None else [self.ours._first] * len(self.ids)
        found = decode(self.ours.model, Packed.of(self.ids), merged, first=first, suppress=self.ours._suppress)
        return [hypothesis for hypotheses in found for hypothesis in hypotheses]


@pytest.fixture(scope="module", params=list(SHAPES))
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    yield Pair(tmp_path_factory.mktemp("seq2seq"), **SHAPES[request.param])


@pytest.fixture(scope="module")
def bart(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    return Pair(tmp_path_factory.mktemp("bart"))


def test_states_and_logits(pair: Pair) -> None:
    rng, model = np.random.default_rng(0), pair.ours.model
    exact = copy.deepcopy(pair.theirs).double()
    for ids in pair.ids:
        target = rng.integers(5, model.vocabulary_size, 9).astype(np.int32)
        target[0] = model.bos_id
        offsets, target_offsets = np.array([0, len(ids)], np.int32), np.array([0, len(target)], np.int32)
        memory = model.encode(np.asarray(ids, np.int32), offsets)
        logits = model.logits(model.decode(target, target_offsets, memory, offsets)).numpy()
        with torch.no_grad():
            output = exact(torch.tensor([ids]), decoder_input_ids=torch.tensor([target.tolist()]))
        assert np.abs(memory.numpy() - output.encoder_last_hidden_state[0].numpy()).max() < 1e-5
        assert np.abs(logits - output.logits[0].numpy()).max() < 1e-4


NAMES = {
    "beam": "num_beams", "length_penalty": "length_penalty", "no_repeat_ngram": "no_repeat_ngram_size",
    "early_stopping": "early_stopping", "repetition_penalty": "repetition_penalty",
}  # fmt: skip


def check_search(pair: Pair, **options: Any) -> list[Hypothesis]:
    theirs = {NAMES[name]: value for name, value in options.items() if name in NAMES}
    # Lengths there count the start token, the first one that is forced, and the end.
    before = 1 if pair.ours._first is None else 2
    theirs |= {"max_length": options["max_length"] + before + 1} if "max_length" in options else {}
    theirs |= {"min_length": options["min_length"] + before} if "min_length" in options else {}
    tokens, scores = pair.generate(**theirs)
    found = pair.search(**options)
    assert [hypothesis.tokens.tolist() for hypothesis in found] == tokens
    if options["beam"] > 1:
        assert [hypothesis.score for hypothesis in found] == pytest.approx(scores, rel=1e-4)
    return found


@pytest.mark.parametrize("beam", [1, 4])
def test_token_ids_and_scores(pair: Pair, beam: int) -> None:
    found = check_search(pair, beam=beam)
    assert len({len(hypothesis.tokens) for hypothesis in found}) > 1
    assert len({tuple(hypothesis.tokens) for hypothesis in found}) > 3


@pytest.mark.parametrize("early", [False, True, "never"])
@pytest.mark.parametrize("penalty", [0.6, 1.0, 2.0])
def test_a_search_may_stop_early(pair: Pair, early: bool, penalty: float) -> None:
    check_search(pair, beam=4, early_stopping=early, length_penalty=penalty)


def test_to_stop_early_changes_what_is_found(pair: Pair) -> None:
    early = pair.search(beam=4, early_stopping=True, length_penalty=2.0)
    late = pair.search(beam=4, length_penalty=2.0)
    assert [h.score for h in early] != [h.score for h in late]
    assert all(one.score <= other.score + 1e-6 for one, other in zip(early, late, strict=True))


@pytest.mark.parametrize("early", [False, True, "never"])
@pytest.mark.parametrize("model_type", ["bart", "pegasus"])
def test_an_output_that_is_cut_may_have_no_end(model_type: str, early: bool | str, tmp_path: Path) -> None:
    """A checkpoint that forces none: all hypotheses are those of transformers, in their order, and as good."""
    generation = {"forced_eos_token_id": None, "num_beams": 4, "early_stopping": early, "max_length": 8}
    pair = Pair(tmp_path, model_type=model_type, generation=generation)
    tokens, scores = pair.generate(num_return_sequences=4)
    found = pair.search(nbest=4)
    assert [h.tokens.tolist() for h in found] == tokens and [h.score for h in found] == pytest.approx(scores, rel=1e-4)
    assert {h.cut for h in found} == {True, False}
    assert [h.score for h in found] != [h.score for h in pair.search(nbest=4, forced_end=True)]
    # By its name the task does the same.
    best = [pair.ours.target_tokenizer.decode(row).strip() for row in tokens[: 4 * len(TEXTS) : 4]]
    assert [summary.text for summary in pair.ours.summarize(TEXTS)] == best


@pytest.mark.parametrize(
    "options",
    [
        {"max_length": 5}, {"min_length": 6, "no_repeat_ngram": 2}, {"repetition_penalty": 1.3},
        {"repetition_penalty": 1.3, "early_stopping": True, "length_penalty": 2.0},
    ],
    ids=str,
)  # fmt: skip
@pytest.mark.parametrize("beam", [1, 3])
def test_options_of_the_search(bart: Pair, beam: int, options: dict[str, Any]) -> None:
    found = check_search(bart, beam=beam, **({} if beam == 1 else {"early_stopping": False}) | options)
    assert [h.tokens.tolist() for h in found] != [h.tokens.tolist() for h in bart.search(beam=beam)]


def test_a_summary_is_the_text_of_the_ids(bart: Pair) -> None:
    tokens, _ = bart.generate(num_beams=1)
    results = bart.ours.summarize([*TEXTS, "", " \n "])
    for result, ids in zip(results, tokens[: len(TEXTS)], strict=False):
        assert result.tokens == bart.ours.target_tokenizer.pieces(ids)
        assert result.text == bart.ours.target_tokenizer.decode(ids).strip()
        assert (result.source_tokens[0], result.source_tokens[-1]) == ("<s>", "</s>")
    assert [result.text for result in results[-2:]] == ["", ""]


def test_documents_are_tokens_as_transformers_has_them(bart: Pair, tmp_path: Path) -> None:
    from transformers import PreTrainedTokenizerFast

    theirs = PreTrainedTokenizerFast(tokenizer_file=str(bart.source / "tokenizer.json"))
    texts = [*TEXTS, "two\nlines", " a  b\n\n c\t", "x</s>y", "Ωmega ﬁ 日本"]
    longest = bart.ours.max_source_length
    for text in [*texts, "the dog " * 60]:
        source = bart.ours._read(0, text)
        whole = theirs(text).input_ids
        assert source.ids == theirs(text, truncation=True, max_length=longest).input_ids
        assert source.unread == max(0, len(whole) - longest)


# ----- What the files say


def rewrite(folder: Path, name: str, **changes: Any) -> None:
    """Changes keys of a JSON file; None takes one out."""
    table = json.loads((folder / name).read_text())
    table |= changes
    (folder / name).write_text(json.dumps({key: value for key, value in table.items() if value is not None}))


CNN = {
    "early_stopping": True, "length_penalty": 2.0, "max_length": 20, "min_length": 7, "no_repeat_ngram_size": 3,
    "num_beams": 4,
}  # fmt: skip


@pytest.mark.parametrize("place", ["generation_config", "config", "task_specific_params"])
def test_how_it_searches_is_kept(place: str, tmp_path: Path) -> None:
    source = tmp_path / "hf"
    write_checkpoint(source)
    if place == "generation_config":
        rewrite(source, "generation_config.json", **CNN)
    else:
        (source / "generation_config.json").unlink()
        keys = CNN if place == "config" else {"task_specific_params": {"summarization": CNN}}
        rewrite(source, "config.json", force_bos_token_to_be_generated=True, **keys)
    converted = convert(source, tmp_path / "ours")
    assert converted.left_out == []
    found = json.loads((tmp_path / "ours" / "config.json").read_text())["decoding"]
    expected = {
        "beam": 4, "early_stopping": True, "length_penalty": 2.0, "max_length": 17, "min_length": 5, "first": 0,
        "no_repeat_ngram": 3, "rules": "transformers",
    }  # fmt: skip
    assert {name: found[name] for name in expected} == expected
    result = attnkit.load(tmp_path / "ours", task="summarize").summarize(["the dog"])[0]
    assert 5 <= len(result.tokens) <= 17


def test_the_stacks_alone_are_read_with_the_embeddings_as_their_output(tmp_path: Path) -> None:
    """facebook/bart-base is a BartModel: no prefix, no bias."""
    from transformers import BartModel

    theirs = write_checkpoint(tmp_path / "hf")
    for file in (tmp_path / "hf").glob("*.safetensors"):
        file.unlink()
    BartModel.save_pretrained(theirs.model, tmp_path / "hf")
    assert json.loads((tmp_path / "hf" / "config.json").read_text())["architectures"] == ["BartModel"]
    convert(tmp_path / "hf", tmp_path / "ours")
    model = attnkit.load(tmp_path / "ours", task="summarize").model
    assert np.array_equal(model.source_embedding.weight.numpy(), theirs.model.shared.weight.detach().numpy())
    assert not model.tied_output_bias.numpy().any()


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("config.json", {"architectures": ["BartForSequenceClassification"]}, "BartForConditionalGeneration.*got"),
        ("config.json", {"normalize_before": True}, "normalize_before"),
        ("config.json", {"d_model": -3}, "d_model"),
        ("config.json", {"d_model": 2**40}, "larger model than its tensors"),
        ("config.json", {"encoder_ffn_dim": 2**60}, "larger model than its tensors"),
        ("config.json", {"max_position_embeddings": 2**24}, "larger model|of shape"),
        ("config.json", {"max_position_embeddings": 40}, "embed_positions.weight of shape"),
        ("config.json", {"decoder_layers": 1}, "expected no layer's tensor"),
        ("config.json", {"decoder_layers": 3}, "expected a tensor model.decoder.layers.2"),
        ("config.json", {"vocab_size": 100}, "at most 100 entries"),
        ("config.json", {"activation_function": "tanh"}, "activation_function"),
        ("config.json", {"eos_token_id": [2, 3]}, "one token"),
        ("config.json", {"task_specific_params": 3}, "task_specific_params"),
        ("config.json", {"task_specific_params": {"summarization": []}}, "task_specific_params.summarization"),
        ("config.json", {"task_specific_params": {"summarization": {"num_beams": "x"}}}, "num_beams"),
        ("generation_config.json", {"forced_bos_token_id": 10**6}, "forced_bos_token_id"),
        ("generation_config.json", {"early_stopping": "soon"}, "early_stopping"),
        ("generation_config.json", {"num_beams": 0}, "num_beams"),
        ("special_tokens_map.json", {"unk_token": "<none>"}, "<none>"),
        ("tokenizer.json", {"model": 5}, "tokenizer.json"),
    ],
)
def test_what_is_wrong_is_said(name: str, changes: dict[str, Any], message: str, bart: Pair, tmp_path: Path) -> None:
    import shutil

    shutil.copytree(bart.source, tmp_path / "hf")
    if changes.get("eos_token_id"):
        (tmp_path / "hf" / "generation_config.json").unlink()
    rewrite(tmp_path / "hf", name, **changes)
    with pytest.raises(ValueError, match=message) as caught:
        convert(tmp_path / "hf", tmp_path / "ours")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "ours").exists()


def test_what_the_search_has_not_is_said(tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "hf")
    rewrite(tmp_path / "hf", "generation_config.json", diversity_penalty=0.5)
    left_out = convert(tmp_path / "hf", tmp_path / "ours").left_out
    assert len(left_out) == 1 and "diversity_penalty" in left_out[0] and "0.5" in left_out[0]
