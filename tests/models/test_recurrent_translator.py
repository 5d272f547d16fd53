"""The recurrent encoder-decoder with every attention: steps against the whole, batches, PyTorch, learning, phases."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from closeness import BFLOAT16, assert_close
from pytorch_twin import randomise
from test_transformer import batch_of, random_pairs

import attnkit
from attnkit import _core, nn, optim
from attnkit.decoding import DecodingOptions, Packed, decode
from attnkit.models import build_model, load_model, save_model
from attnkit.models.recurrent import Recurrent, Sorted
from attnkit.models.recurrent_config import RecurrentConfig
from attnkit.models.recurrent_encoder import reversed_tokens
from attnkit.text import Batch
from attnkit.text.tokenizers.vocabulary import BOS, EOS

V = 19
SMALL: dict[str, Any] = dict(embedding_size=6, hidden_size=8, dropout=0.0, max_length=64)
ONE_WAY: dict[str, Any] = dict(bidirectional=False)
LUONG: dict[str, Any] = dict(attend="after")
FEEDING: dict[str, Any] = dict(attend="after", input_feeding=True)
EQUAL: dict[str, Any] = dict(encoder_size=4)

# Each value of each option, and what they do to each other.
MODELS: dict[str, dict[str, Any]] = {
    "bahdanau": {},
    "bahdanau-rnn": dict(cell="rnn"),
    "bahdanau-lstm-2": dict(cell="lstm", layers=2),
    "luong-general": dict(score="general", **LUONG),
    "luong-feeding-lstm-2": dict(score="general", cell="lstm", layers=2, **FEEDING),
    "scaled-general": dict(score="scaled-general", **FEEDING),
    "dot": dict(score="dot", **LUONG, **EQUAL),
    "scaled-dot": dict(score="scaled-dot", **FEEDING, **EQUAL),
    "cosine": dict(score="cosine", **EQUAL),
    "concat": dict(score="concat", **LUONG),
    "location": dict(score="location", **LUONG),
    "local-m": dict(normaliser="local-m", window=1),
    "local-p": dict(normaliser="local-p", score="general", window=2, **LUONG),
    "hard": dict(normaliser="hard", soft_batches=0),
    "straight-through": dict(normaliser="hard", hard_gradient="straight-through", **LUONG),
    "structured": dict(normaliser="structured"),
    "coverage": dict(coverage=True),
    "coverage-after": dict(coverage=True, score="concat", **LUONG),
    "fixed-first": dict(score="none"),
    "fixed-every": dict(score="none", context="every-step"),
    "fixed-both-reversed": dict(score="none", context="both", reverse_source=True, cell="lstm", layers=2),
    "blank": dict(score="none", blank_inputs=True, share_weights=True, **ONE_WAY),
    "blank-bahdanau": dict(blank_inputs=True),
    "shared": dict(score="dot", share_weights=True, cell="lstm", layers=2, **FEEDING, **ONE_WAY),
    "lstmn": dict(encoder="lstmn", **ONE_WAY),
    "lstmn-lstm": dict(encoder="lstmn", cell="lstm", score="dot", **LUONG, **ONE_WAY),
    "tied": dict(tie_embeddings="all", readout_size=6),
    "wide-readout": dict(readout_size=10, attention_size=3, tie_embeddings="none", **FEEDING),
}
PAIRS = random_pairs([(5, 4), (1, 9), (12, 1), (3, 4)])


def small_model(seed: int = 0, deviation: float = 0.4, **options: Any) -> Recurrent:
    model = build_model(RecurrentConfig(**{**SMALL, **options}), V, V)
    randomise(model, seed, deviation)
    return model


def log_softmax(x: np.ndarray) -> np.ndarray:
    shifted = x - x.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))


# --- steps, batches, beams


@pytest.mark.parametrize("name", MODELS)
def test_steps_of_decoding_are_the_pass_of_training(name: str) -> None:
    """Token by token along the given targets, rows leaving as their sentences end."""
    model, batch = small_model(**MODELS[name]), batch_of(PAIRS)
    model.eval()
    with attnkit.no_grad():
        whole = log_softmax(model(batch).numpy().astype(np.float64))
    state, rows = model.start(Packed(batch.source_ids, batch.source_offsets)), np.arange(len(PAIRS))
    lengths = np.diff(batch.target_offsets)
    for t in range(lengths.max()):
        alive = np.flatnonzero(lengths > t)
        if len(alive) < len(rows):
            state.select(np.searchsorted(rows, alive).astype(np.int32))
            rows = alive
        tokens = batch.target_offsets[alive] + t
        output = model.step(state, batch.target_input_ids[tokens], attention=model.decoder.attention is not None)
        assert_close(output.log_probs, whole[tokens], terms=64)
        if output.attention is not None:
            _check_weights(name, output.attention, np.diff(batch.source_offsets)[alive])


def _check_weights(name: str, weights: np.ndarray, lengths: np.ndarray) -> None:
    sums = weights.sum(axis=1)
    if name == "local-p":
        assert (sums <= 1 + 1e-6).all()
    elif name == "structured":
        assert weights.min() >= 0 and weights.max() <= 1
    else:
        np.testing.assert_allclose(sums, 1.0, rtol=1e-5)
    assert (weights[np.arange(weights.shape[1]) >= lengths[:, None]] == 0).all()


@pytest.mark.parametrize("name", MODELS)
def test_a_batch_is_its_sentences_one_by_one(name: str) -> None:
    model, batch = small_model(**MODELS[name]), batch_of(PAIRS)
    model.eval()
    with attnkit.no_grad():
        together = model(batch).numpy()
        for i, pair in enumerate(PAIRS):
            tokens = slice(batch.target_offsets[i], batch.target_offsets[i + 1])
            np.testing.assert_array_equal(model(batch_of([pair])).numpy(), together[tokens])


@pytest.mark.parametrize("name", MODELS)
def test_a_beam_keeps_its_books(name: str) -> None:
    """The log-probability of what beam search wrote is that of the training pass; options change what comes out."""
    model = small_model(**MODELS[name])
    model.eval()
    sources = [source for source, _ in PAIRS]
    wanted = model.decoder.attention is not None
    results = decode(model, Packed.of(sources), DecodingOptions(beam=3, nbest=2, max_length=7), attention=wanted)
    for source, hypotheses in zip(sources, results, strict=True):
        for hypothesis in hypotheses:
            batch = batch_of([(source, hypothesis.tokens)])
            with attnkit.no_grad():
                log_probs = log_softmax(model(batch).numpy().astype(np.float64))
            words = log_probs[np.arange(batch.tokens), batch.target_labels]
            assert hypothesis.log_probability == pytest.approx(words.sum(), rel=1e-4, abs=1e-4)
            if wanted:
                assert hypothesis.attention is not None
                assert hypothesis.attention.shape == (len(hypothesis.tokens), len(source))


def test_asking_for_attention_changes_nothing() -> None:
    for name in ("bahdanau", "luong-feeding-lstm-2", "coverage"):
        model = small_model(**MODELS[name])
        model.eval()
        batch = batch_of(PAIRS)
        first = np.full(len(PAIRS), BOS, np.int32)
        outputs = [
            model.step(model.start(Packed(batch.source_ids, batch.source_offsets)), first, a) for a in (False, True)
        ]
        np.testing.assert_array_equal(outputs[0].log_probs, outputs[1].log_probs)
        assert outputs[0].attention is None


@pytest.mark.parametrize("name", ["bahdanau", "luong-feeding-lstm-2", "local-p", "hard", "structured", "lstmn"])
def test_threads_change_nothing(name: str) -> None:
    batch, before, results = batch_of(random_pairs([(9, 12), (20, 17), (3, 5)] * 4)), _core.get_num_threads(), []
    try:
        for threads in (1, 2):
            _core.set_num_threads(threads)
            attnkit.manual_seed(5)
            model = small_model(**{**MODELS[name], "dropout": 0.2})
            output = model.loss(batch)
            output.loss.backward()
            results.append([output.loss.numpy(), *(p.grad.numpy() for p in model.parameters() if p.grad is not None)])
    finally:
        _core.set_num_threads(before)
    for one, two in zip(*results, strict=True):
        np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("name", ["bahdanau", "luong-general"])
def test_bfloat16_is_near(name: str) -> None:
    model, batch = small_model(**MODELS[name]), batch_of(PAIRS)
    exact = model(batch).numpy()
    with attnkit.precision("bf16"):
        rounded = model(batch).numpy()
    assert np.abs(rounded - exact).max() > 0
    assert_close(rounded, exact, terms=64, epsilon=BFLOAT16)


@pytest.mark.parametrize("name", ["bahdanau", "luong-general", "coverage", "local-p", "hard", "lstmn"])
def test_a_source_of_one_token_and_of_two_thousand(name: str) -> None:
    model = small_model(**{**MODELS[name], "max_length": 2048})
    model.eval()
    sources = [np.array([EOS], np.int32), np.random.default_rng(0).integers(4, V, 2000).astype(np.int32)]
    for hypotheses in decode(model, Packed.of(sources), DecodingOptions(beam=2, max_length=3), attention=True):
        assert hypotheses[0].attention is not None and np.isfinite(hypotheses[0].attention).all()


def test_every_option_that_trains_changes_the_result() -> None:
    """No two of the models are the same function: each option does something."""
    batch = batch_of(PAIRS)
    attnkit.manual_seed(1)
    losses = {name: small_model(**options).loss(batch).loss.item() for name, options in MODELS.items()}
    assert len(set(losses.values())) == len(losses)


# --- the model of Bahdanau et al. in PyTorch


def bahdanau_twin(model: Recurrent) -> Any:
    """shared/peers' model: bidirectional GRU, additive attention, a GRU cell over [word, context], and a tanh layer."""
    import torch
    from torch import nn as tnn

    def put(parameter: Any, *parts: Any) -> None:
        with torch.no_grad():
            parameter.copy_(torch.tensor(np.concatenate([np.asarray(part) for part in parts], axis=-1)))

    class Bahdanau(tnn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            e, h = SMALL["embedding_size"], SMALL["hidden_size"]
            self.source, self.target = tnn.Embedding(V, e), tnn.Embedding(V, e)
            self.encoder = tnn.GRU(e, h, bidirectional=True, batch_first=True)
            self.cell = tnn.GRUCell(e + 2 * h, h)
            self.query, self.key = tnn.Linear(h, h, bias=False), tnn.Linear(2 * h, h)
            self.score, self.init = tnn.Linear(h, 1, bias=False), tnn.Linear(h, h)
            self.merge, self.generate = tnn.Linear(h + 2 * h + e, e), tnn.Linear(e, V)

        def forward(self, source: Any, target: Any) -> Any:
            """One sentence: [1, S], [1, T] → logits [T, V]."""
            states, last = self.encoder(self.source(source))
            state, keys, embedded, rows = torch.tanh(self.init(last[1])), self.key(states), self.target(target), []
            for step in range(target.shape[1]):
                energy = self.score(torch.tanh(self.query(state).unsqueeze(1) + keys)).squeeze(-1)
                context = torch.bmm(torch.softmax(energy, -1).unsqueeze(1), states).squeeze(1)
                state = self.cell(torch.cat([embedded[:, step], context], -1), state)
                rows.append(torch.cat([state, context, embedded[:, step]], -1))
            return self.generate(torch.tanh(self.merge(torch.cat(rows))))

    twin, p = Bahdanau(), model.state_dict()
    scale = SMALL["embedding_size"] ** 0.5  # ours multiplies what it looks up
    put(twin.source.weight, p["encoder.embedding.weight"] * scale)
    put(twin.target.weight, p["target_embedding.weight"] * scale)
    h3 = 3 * SMALL["hidden_size"]
    for direction, suffix in enumerate(("", "_reverse")):
        rows = slice(direction * h3, (direction + 1) * h3)
        put(getattr(twin.encoder, f"weight_ih_l0{suffix}"), p["encoder.layers.layers.0.input_weight"][rows])
        put(getattr(twin.encoder, f"weight_hh_l0{suffix}"), p["encoder.layers.layers.0.hidden_weight"][rows])
        put(getattr(twin.encoder, f"bias_ih_l0{suffix}"), p["encoder.layers.layers.0.input_bias"][rows])
        put(getattr(twin.encoder, f"bias_hh_l0{suffix}"), p["encoder.layers.layers.0.hidden_bias"][rows])
    put(twin.cell.weight_ih, p["decoder.rnn.layers.0.input_weight"], p["decoder.feed.weight"])
    put(twin.cell.weight_hh, p["decoder.rnn.layers.0.hidden_weight"])
    put(twin.cell.bias_ih, p["decoder.rnn.layers.0.input_bias"])
    put(twin.cell.bias_hh, p["decoder.rnn.layers.0.hidden_bias"])
    for theirs, ours in {
        "query.weight": "decoder.attention.score.query.weight",
        "key.weight": "decoder.attention.score.key.weight",
        "key.bias": "decoder.attention.score.key.bias",
        "init.weight": "decoder.bridges.0.weight",
        "init.bias": "decoder.bridges.0.bias",
        "merge.weight": "decoder.readout.weight",
        "merge.bias": "decoder.readout.bias",
        "generate.weight": "generator.weight",
        "generate.bias": "generator.bias",
    }.items():
        put(twin.get_parameter(theirs), p[ours])
    put(twin.score.weight, p["decoder.attention.score.v"][None, :])
    return twin


def test_the_default_is_the_model_of_bahdanau_in_pytorch() -> None:
    torch = pytest.importorskip("torch")
    model, batch = small_model(), batch_of(PAIRS)
    twin = bahdanau_twin(model)
    logits, upstream = model(batch), np.random.default_rng(1).standard_normal((batch.tokens, V)).astype(np.float32)
    expected = torch.cat(
        [
            twin(*(torch.tensor(x[None, :].astype(np.int64)) for x in (source, np.concatenate([[BOS], target]))))
            for source, target in PAIRS
        ]
    )
    assert_close(logits, expected.detach().numpy(), terms=64)
    logits.backward(upstream)
    expected.backward(torch.tensor(upstream))
    gradients = {name: p.grad.numpy() for name, p in model.named_parameters() if p.grad is not None}
    width = SMALL["embedding_size"]
    assert_close(gradients["encoder.embedding.weight"], twin.source.weight.grad * width**0.5, terms=400)
    assert_close(gradients["decoder.attention.score.key.weight"], twin.key.weight.grad, terms=400)
    assert_close(gradients["decoder.attention.score.v"], twin.score.weight.grad[0], terms=400)
    assert_close(gradients["decoder.bridges.0.weight"], twin.init.weight.grad, terms=400)
    assert_close(gradients["decoder.rnn.layers.0.input_weight"], twin.cell.weight_ih.grad[:, :width], terms=400)
    assert_close(gradients["decoder.feed.weight"], twin.cell.weight_ih.grad[:, width:], terms=400)


# --- learning

LEARNERS = [
    "bahdanau",
    "luong-general",
    "luong-feeding-lstm-2",
    "scaled-general",
    "dot",
    "scaled-dot",
    "cosine",
    "concat",
    "location",
    "local-m",
    "local-p",
    "hard",
    "straight-through",
    "structured",
    "coverage",
    "fixed-both-reversed",
    "shared",
    "lstmn",
]


@pytest.mark.parametrize("name", LEARNERS)
def test_it_learns_a_few_sentences_by_heart(name: str) -> None:
    """Reversing: the output order is not the source's, so that attention must move."""
    generator = np.random.default_rng(7)
    sources = [generator.integers(4, V, n).astype(np.int32) for n in (3, 4, 2, 4, 3, 4)]
    batch = batch_of([(np.append(source, EOS).astype(np.int32), source[::-1]) for source in sources])
    attnkit.manual_seed(2)
    sizes = dict(embedding_size=24, hidden_size=32, **({"encoder_size": 16} if "encoder_size" in MODELS[name] else {}))
    model = build_model(RecurrentConfig(**{**SMALL, **MODELS[name], **sizes, "window": 5}), V, V)
    optimizer = optim.Adam(model.parameters(), lr=0.01)
    # Every step reads and writes the same memory: a sanitizer sees all in a few, which show that the loss falls.
    sanitized = bool(_core.build_info()["sanitizers"])
    losses = []
    for _ in range(20 if sanitized else 220):
        loss = model.loss(batch, label_smoothing=0.0).loss
        loss.backward()
        optimizer.step(optim.clip_scale(optim.grad_norm(model.parameters()), 1.0))
        optimizer.zero_grad()
        losses.append(loss.item())
    assert losses[-1] < 0.9 * losses[0]
    model.eval()
    results = decode(model, Packed(batch.source_ids, batch.source_offsets), DecodingOptions(beam=1))
    if sanitized:
        return
    right = sum(
        hypotheses[0].tokens.tolist() == source[::-1].tolist()
        for source, hypotheses in zip(sources, results, strict=True)
    )
    assert right >= len(sources) - (1 if name == "hard" else 0)


# --- the encoder first


def pretrained(kind: str, **options: Any) -> Recurrent:
    attnkit.manual_seed(3)
    direction = ONE_WAY if kind == "language-model" else {}
    config = {**SMALL, **direction, **options, "encoder_pretraining": kind, "pretraining_batches": 2}
    return build_model(RecurrentConfig(**config), V, V)


def trained_names(model: Recurrent, batch: Batch) -> set[str]:
    model.loss(batch).loss.backward()
    names = {name for name, p in model.named_parameters() if p.grad is not None}
    model.zero_grad()
    return names


@pytest.mark.parametrize("kind", ["autoencoder", "language-model"])
@pytest.mark.parametrize("freeze", [False, True], ids=["tuned", "frozen"])
def test_the_encoder_is_trained_first(kind: str, freeze: bool) -> None:
    model, batch = pretrained(kind, freeze_encoder=freeze), batch_of(PAIRS)
    for _ in range(2):
        names = trained_names(model, batch)
        assert {name.split(".")[0] for name in names} == {"encoder", "pretraining"}
    names = trained_names(model, batch)
    assert {"decoder", "generator", "target_embedding"} <= {name.split(".")[0] for name in names}
    assert any(name.startswith("encoder.") for name in names) is not freeze
    model.eval()
    assert model.state_dict()["pretraining.count"] == 2  # a checkpoint goes on behind the first phase


@pytest.mark.parametrize("options", [{}, {"encoder": "lstmn", **ONE_WAY}, {"cell": "lstm", "layers": 2}], ids=str)
def test_an_autoencoder_learns_its_sources(options: dict[str, Any]) -> None:
    model, batch = pretrained("autoencoder", **options, hidden_size=24), batch_of(PAIRS)
    assert model.pretraining is not None
    optimizer, losses = optim.Adam(model.parameters(), lr=0.02), []
    for _ in range(60):
        output = model.pretraining.head.loss(model.encoder, batch.source_ids, batch.source_offsets, 0.0)
        assert output.tokens == len(batch.source_ids)
        output.loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(output.loss.item())
    assert losses[-1] < 0.5 * losses[0]


def test_a_language_model_predicts_the_next_word_in_reading_order() -> None:
    model, batch = pretrained("language-model", reverse_source=True), batch_of(PAIRS)
    assert model.pretraining is not None
    output = model.pretraining.head.loss(model.encoder, batch.source_ids, batch.source_offsets, 0.0)
    assert output.tokens == len(batch.source_ids) - len(PAIRS)
    offsets = np.array([0, 4, 5, 7], np.int32)
    assert reversed_tokens(offsets).tolist() == [2, 1, 0, 3, 4, 5, 6]


# --- balance


@pytest.mark.parametrize("name", ["bahdanau", "luong-general"])
def test_balance_makes_every_source_word_be_looked_at_once(name: str) -> None:
    batch = batch_of(random_pairs([(4, 3), (3, 2), (6, 5)]))  # as many words as predictions, the end token counted

    def missed(balance: float) -> float:
        attnkit.manual_seed(2)
        model = build_model(RecurrentConfig(**{**SMALL, **MODELS[name], "balance": balance}), V, V)
        optimizer = optim.Adam(model.parameters(), lr=0.01)
        for _ in range(100):
            model.loss(batch).loss.backward()
            optimizer.step()
            optimizer.zero_grad()
        model.eval()
        decoded = model.decode(Sorted.of(batch))
        if decoded.looks is None:  # measure what an unbalanced model does
            twin = build_model(RecurrentConfig(**{**SMALL, **MODELS[name], "balance": 1.0}), V, V)
            twin.load_state_dict(model.state_dict())
            twin.eval()
            decoded = twin.decode(Sorted.of(batch))
        assert decoded.looks is not None
        return float(((1.0 - decoded.looks.numpy()) ** 2).sum())

    assert missed(3.0) < 0.5 * missed(0.0)


def test_balance_is_of_training_only() -> None:
    batch = batch_of(PAIRS)
    losses = {}
    for balance in (0.0, 2.0):
        model = small_model(balance=balance)
        losses[balance, True] = model.loss(batch).loss.item()
        model.eval()
        losses[balance, False] = model.loss(batch).loss.item()
    assert losses[2.0, True] > losses[0.0, True] and losses[2.0, False] == losses[0.0, False]


# --- files, and what is refused


@pytest.mark.parametrize("name", ["bahdanau", "hard", "shared", "tied", "lstmn"])
def test_it_comes_back_from_a_directory(name: str, tmp_path: Path) -> None:
    model, batch = small_model(**MODELS[name]), batch_of(PAIRS)
    model.eval()
    save_model(model, tmp_path)
    loaded = load_model(tmp_path)
    assert loaded.config == model.config
    np.testing.assert_array_equal(loaded(batch), model(batch))


REFUSED = [
    ({"score": "dot"}, 'score: expected "general", or source states as wide as the decoder\'s 256 for "dot", got 512'),
    ({"score": "cosine"}, 'for "cosine", got 512 (encoder_size sets it, for each direction)'),
    ({"score": "location", "normaliser": "local-m"}, 'normaliser: expected "softmax" with score = "location"'),
    ({"score": "general", "coverage": True}, 'coverage: expected score = "additive" or "concat", got "general"'),
    ({"score": "none", "normaliser": "hard"}, 'score: expected one, got "none" with a normaliser'),
    ({"score": "none", "input_feeding": True, "attend": "after"}, 'score: expected one, got "none"'),
    ({"context": "both"}, 'context: expected "first-state" with attention, got "both"'),
    ({"score": "none", "balance": 0.1}, "coverage, input_feeding or balance"),
    ({"normaliser": "hard", "balance": 0.1}, "balance: expected 0 with weights that are sampled"),
    ({"input_feeding": True}, 'input_feeding: expected attend = "after", got "before"'),
    ({"encoder": "lstmn"}, "encoder: expected bidirectional = false, layers = 1 and own weights"),
    ({"share_weights": True}, "share_weights: expected an encoder of one direction, as wide as the decoder"),
    (
        {"share_weights": True, "bidirectional": False, "score": "none", "context": "both"},
        'share_weights: expected context = "first-state"',
    ),
    ({"pretraining_batches": 5}, "pretraining_batches: expected as many as encoder_pretraining takes"),
    ({"encoder_pretraining": "autoencoder"}, "pretraining_batches: expected as many"),
    ({"freeze_encoder": True}, "freeze_encoder: expected an encoder_pretraining"),
    (
        {
            "encoder_pretraining": "autoencoder",
            "pretraining_batches": 1,
            "freeze_encoder": True,
            "tie_embeddings": "all",
        },
        "freeze_encoder: expected weights of its own",
    ),
    (
        {"encoder_pretraining": "language-model", "pretraining_batches": 1},
        'encoder_pretraining: expected bidirectional = false with "language-model"',
    ),
    ({"tie_embeddings": "decoder", "readout_size": 100}, "readout_size: expected embedding_size = 256"),
    ({"window": 0}, "Expected `int` >= 1"),
]


@pytest.mark.parametrize(("options", "message"), REFUSED, ids=lambda value: str(value)[:60])
def test_combinations_that_make_no_sense_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=re.escape(message)):
        msgspec.convert({"type": "recurrent", **options}, RecurrentConfig)


def test_other_mistakes() -> None:
    with pytest.raises(ValueError, match=re.escape('[recurrent] tie_embeddings = "all" needs one vocabulary')):
        build_model(RecurrentConfig(tie_embeddings="all"), 10, 11)
    model = small_model(score="none")
    model.eval()
    batch = batch_of(PAIRS)
    with pytest.raises(
        ValueError, match=re.escape('expected a model with attention, got one trained with score = "none"')
    ):
        state = model.start(Packed(batch.source_ids, batch.source_offsets))
        model.step(state, np.full(4, BOS, np.int32), attention=True)
    location = small_model(score="location", max_length=10)
    with pytest.raises(ValueError, match=re.escape("[location] expected at most 10 tokens in a source, got 12")):
        location.loss(batch)
    assert location.max_source_length == location.max_target_length == 10


@pytest.mark.parametrize("blank", [True, False])
def test_with_blank_inputs_the_output_does_not_depend_on_what_was_written(blank: bool) -> None:
    model, batch = small_model(score="none", blank_inputs=blank), batch_of(PAIRS)
    other = batch_of([(source, target[::-1]) for source, target in PAIRS])
    model.eval()
    with attnkit.no_grad():
        same = np.array_equal(model(batch).numpy(), model(other).numpy())
    assert same == blank


def test_the_output_depends_on_nothing_but_the_past() -> None:
    """Changing a later target word leaves the predictions before it alone."""
    for name in ("bahdanau", "luong-general", "coverage", "fixed-every"):
        model = small_model(**MODELS[name])
        source, target = PAIRS[1]
        changed = target.copy()
        changed[5] = 4 + (changed[5] - 3) % (V - 4)
        logits, other = (model(batch_of([(source, t)])).numpy() for t in (target, changed))
        np.testing.assert_array_equal(logits[:6], other[:6])
        assert np.abs(logits[6:] - other[6:]).max() > 0


def test_its_parts_are_layers_of_the_library() -> None:
    model = small_model(share_weights=True, score="dot", **LUONG, **ONE_WAY)
    assert isinstance(model.decoder.attention, nn.Attention)
    assert model.decoder.rnn is model.encoder.layers
