"""The decoder-only Transformer: PyTorch's numbers, causal, cached against whole, decoding, learning."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from closeness import assert_close
from pytorch_twin import copy_encoder_layer, copy_norm, randomise, torch_layer, torch_norm

import attnkit
from attnkit import nn, optim
from attnkit.decoding import DecodingOptions, Nothing, decode
from attnkit.models import DecoderOnly, DecoderOnlyConfig, build_model
from attnkit.text import Batch, BatchIterator, EncodedCorpus
from attnkit.text.corpus import flatten
from attnkit.text.tokenizers.vocabulary import BOS, EOS

V = 17
SMALL: dict[str, Any] = dict(d_model=16, ffn=24, heads=2, layers=2, dropout=0.0, max_length=48)


def small_model(seed: int = 0, **options: Any) -> DecoderOnly:
    model: DecoderOnly = build_model(DecoderOnlyConfig(**{**SMALL, **options}), V)
    randomise(model, seed, 0.3)
    return model


def texts(lengths: list[int], seed: int = 0) -> list[list[int]]:
    random = np.random.default_rng(seed)
    return [random.integers(4, V, length).tolist() for length in lengths]


def batch_of(lines: list[list[int]]) -> Batch:
    corpus = EncodedCorpus(np.zeros(0, np.int32), np.zeros(len(lines) + 1, np.int64), *flatten(lines))
    return next(BatchIterator(corpus, 10_000, bos=BOS, eos=EOS, shuffle=False, source_eos=False))


LINES = texts([5, 1, 12, 30])
OPTIONS: list[dict[str, Any]] = [
    {},
    {"norm": "post", "activation": "relu", "tie_embeddings": False, "positions": "learned"},
    {"activation": "gelu_tanh", "positions": "learned", "position_offset": 2, "scale_embeddings": False},
    {"norm_kind": "rms", "norm_eps": 0.01, "gated": True, "activation": "silu"},
    {"positions": "sinusoidal-halves", "position_spacing": "tensor2tensor", "position_offset": 1},
    {"norm": "post", "norm_eps": 0.1, "embedding_norm": True, "token_types": 2},
]


def test_a_batch_without_sources() -> None:
    batch = batch_of(LINES)
    assert batch.source_ids.shape == (0,) and batch.source_offsets.tolist() == [0] * 5
    assert sorted(batch.indices.tolist()) == [0, 1, 2, 3]
    assert batch.tokens == sum(map(len, LINES)) + 4


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_it_is_pytorchs(options: dict[str, Any]) -> None:
    torch = pytest.importorskip("torch")
    model, batch = small_model(**options), batch_of(LINES)
    config, state = model.config, model.state_dict()
    names = ("norm", "activation", "norm_kind", "norm_eps", "gated")
    kind = {name: getattr(config, name) for name in names}
    layers = [torch_layer("Encoder", config.d_model, config.heads, config.ffn, **kind) for _ in range(config.layers)]
    embedding_norm, last_norm = (torch_norm(config.norm_kind, config.d_model, config.norm_eps) for _ in range(2))
    if config.embedding_norm:
        copy_norm(model.embedding.norm, embedding_norm)
    if config.norm == "pre":
        copy_norm(model.layers.last_norm, last_norm)
    for ours, theirs in zip(model.layers.layers, layers, strict=True):
        copy_encoder_layer(ours, theirs)
    expected = []
    for begin, end in pairwise(batch.target_offsets):
        ids = batch.target_input_ids[begin:end]
        layout = config.positions == "sinusoidal-halves", config.position_spacing
        table = state.get("embedding.positions.weight", nn.sinusoids(64, config.d_model, *layout))
        positions = table[config.position_offset :][: len(ids)]
        scale = np.float32(config.d_model**0.5 if config.scale_embeddings else 1.0)
        x = torch.tensor(state["embedding.weight"][ids] * scale + positions)[None]
        mask = torch.nn.Transformer.generate_square_subsequent_mask(len(ids))
        with torch.no_grad():
            if config.token_types:
                x = x + torch.tensor(state["embedding.token_type_weight"][0])
            if config.embedding_norm:
                x = embedding_norm(x)
            for layer in layers:
                x = layer(x, src_mask=mask, is_causal=True)
            if config.norm == "pre":
                x = last_norm(x)
        output = state["embedding.weight"] if config.tie_embeddings else state["generator.weight"]
        expected.append(x[0].numpy() @ output.T + state.get("generator.bias", np.float32(0)))
    logits = np.concatenate(expected)
    assert_close(model(batch), logits, terms=400)
    log_probs = torch.log_softmax(torch.tensor(logits), 1).numpy()
    nll = -log_probs[np.arange(len(logits)), batch.target_labels]
    result = model.loss(batch)
    assert_close(result.nll_sum, nll.sum(), terms=100)
    assert_close(result.loss.item(), nll.mean(), terms=100)


WIDTHS = {"embedding_width": 10, "head_dim": 6, "tie_embeddings": False, "embedding_norm": True}


def test_widths_of_their_own() -> None:
    model = small_model(**WIDTHS)
    shapes = {name: parameter.shape for name, parameter in model.named_parameters()}
    assert shapes["embedding.weight"] == (V, 10) and shapes["embedding.projection.weight"] == (16, 10)
    assert shapes["layers.layers.0.attention.projection.weight"] == (3 * 2 * 6, 16)
    with pytest.raises(ValueError, match="tie_embeddings: expected false with embedding_width"):
        DecoderOnlyConfig(**SMALL, embedding_width=10)


@pytest.mark.parametrize("options", [*OPTIONS, WIDTHS], ids=str)
def test_a_step_with_the_cache_is_one_whole_pass(options: dict[str, Any], threads: int) -> None:
    model = small_model(**options).eval()
    lines = texts([20, 20, 20], seed=4)
    whole = [np.asarray(attnkit.ops.log_softmax(model(batch_of([line])))) for line in lines]
    state = model.start(Nothing(3))
    last = np.full(3, BOS, np.int32)
    for position in range(20):
        output = model.step(state, last)
        assert output.attention is None
        for row in range(3):
            assert_close(output.log_probs[row], whole[row][position], terms=200)
        last = np.array([line[position] for line in lines], np.int32)
        if position == 7:  # rows move, and the caches with them
            state.select(np.array([2, 0, 1], np.int32))
            lines, whole, last = [lines[i] for i in (2, 0, 1)], [whole[i] for i in (2, 0, 1)], last[[2, 0, 1]]


def test_a_token_sees_only_those_before_it() -> None:
    model = small_model()
    line = LINES[3]
    changed = [*line[:10], *(4 + (token - 3) % (V - 4) for token in line[10:])]
    before, after = model(batch_of([line])).numpy(), model(batch_of([changed])).numpy()
    np.testing.assert_array_equal(before[:11], after[:11])
    assert not np.array_equal(before[11:], after[11:])
    weights = model.attention(np.array([BOS, *line], np.int32))
    assert weights.shape == (31, 31)
    assert not np.triu(weights, 1).any()
    assert_close(weights.sum(axis=1), np.ones(31), terms=31)


def test_a_text_has_the_same_logits_in_every_batch(isa: str) -> None:
    model = small_model(d_model=48, heads=4, ffn=80)
    batch = batch_of(LINES)
    together = np.split(model(batch).numpy(), batch.target_offsets[1:-1])
    for place, index in enumerate(batch.indices):
        np.testing.assert_array_equal(model(batch_of([LINES[index]])).numpy(), together[place])


def run(model: DecoderOnly, prompts: list[list[int]], **options: Any) -> list[list[int]]:
    results = decode(model, Nothing(len(prompts)), DecodingOptions(max_length=20, **options), prefixes=prompts)
    return [hypotheses[0].tokens.tolist() for hypotheses in results]


def test_it_decodes_after_prompts_of_any_length() -> None:
    model = small_model().eval()
    prompts = [[], [5], [6, 7, 8, 9, 10]]
    for options in ({"beam": 1}, {"beam": 3}, {"beam": 1, "sample": True, "seed": 3}):
        together = run(model, prompts, **options)  # type: ignore[arg-type]
        assert [tokens[: len(prompt)] for tokens, prompt in zip(together, prompts, strict=True)] == prompts
        if "sample" not in options:
            assert [run(model, [prompt], **options)[0] for prompt in prompts] == together  # type: ignore[arg-type]


def test_it_has_no_source_to_attend_to() -> None:
    model = small_model().eval()
    state = model.start(Nothing(1))
    with pytest.raises(ValueError, match="a language model has no source to attend to"):
        model.step(state, np.full(1, BOS, np.int32), attention=True)


def test_it_learns_its_lines_by_heart() -> None:
    attnkit.manual_seed(5)
    model: DecoderOnly = build_model(DecoderOnlyConfig(**SMALL), V)
    lines = [[4, 5, 6, 7, 8], [9, 5, 6, 10], [11, 12, 6, 13, 14, 15]]
    batch, optimizer = batch_of(lines), optim.Adam(list(model.parameters()), 0.01)
    for _ in range(80):
        model.loss(batch).loss.backward()
        optimizer.step(1.0)
        optimizer.zero_grad()
    assert run(model.eval(), [line[:1] for line in lines], beam=2) == lines
