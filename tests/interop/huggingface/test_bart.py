"""Converted BART, mBART and Pegasus do what transformers' own do: states, logits, token ids of searches, text."""

from __future__ import annotations

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
        merged = DecodingOptions(**self.ours._defaults.merge(options))
        first = None if self.ours._first is None else [self.ours._first] * len(self.ids)
        found = decode(self.ours.model, Packed.of(self.ids), merged, first=first, suppress=self.ours._suppress)
        return [hypotheses[0] for hypotheses in found]


@pytest.fixture(scope="module", params=list(SHAPES))
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    yield Pair(tmp_path_factory.mktemp("seq2seq"), **SHAPES[request.param])


@pytest.fixture(scope="module")
def bart(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    return Pair(tmp_path_factory.mktemp("bart"))


def test_states_and_logits(pair: Pair) -> None:
    rng, model = np.random.default_rng(0), pair.ours.model
    for ids in pair.ids:
        target = rng.integers(5, model.vocabulary_size, 9).astype(np.int32)
        target[0] = model.bos_id
        offsets, target_offsets = np.array([0, len(ids)], np.int32), np.array([0, len(target)], np.int32)
        memory = model.encode(np.asarray(ids, np.int32), offsets)
        logits = model.logits(model.decode(target, target_offsets, memory, offsets)).numpy()
        with torch.no_grad():
            output = pair.theirs(torch.tensor([ids]), decoder_input_ids=torch.tensor([target.tolist()]))
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
    assert len({len(hypothesis.tokens) for hypothesis in found}) > 2
    assert len({tuple(hypothesis.tokens) for hypothesis in found}) > 6


@pytest.mark.parametrize("early", [False, True])
@pytest.mark.parametrize("penalty", [0.6, 1.0, 2.0])
def test_a_search_may_stop_early(pair: Pair, early: bool, penalty: float) -> None:
    check_search(pair, beam=4, early_stopping=early, length_penalty=penalty)


def test_to_stop_early_changes_what_is_found(pair: Pair) -> None:
    early = pair.search(beam=4, early_stopping=True, length_penalty=2.0)
    late = pair.search(beam=4, length_penalty=2.0)
    assert [h.score for h in early] != [h.score for h in late]
    assert all(one.score <= other.score + 1e-6 for one, other in zip(early, late, strict=True))
