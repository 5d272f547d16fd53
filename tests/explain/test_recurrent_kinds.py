"""What recurrent models look at: shapes, rows, centres and gates, against formulas in float64."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import looking_models as looking
import numpy as np
import pytest
import reference_recurrent
from closeness import assert_close
from looking_models import CAPTION, TEXT, picture
from reference import sigmoid, softmax

from attnkit import nn, no_grad, tensor
from attnkit.explain.maps.weights import AttentionWeights
from attnkit.models import CaptionerConfig, HanConfig, TransformerConfig, ViTConfig
from attnkit.models.captioner_config import LSTMDecoderConfig
from attnkit.models.recurrent_config import RecurrentConfig
from attnkit.tasks.shared.recurrent_kinds import gates, memory_reads, one_head_attention

SMALL: dict[str, Any] = dict(embedding_size=6, hidden_size=8, dropout=0.0, max_length=64)
AFTER: dict[str, Any] = dict(attend="after", score="general")
ONE_WAY: dict[str, Any] = dict(bidirectional=False)
LSTM, GRU = ("input", "forget", "output"), ("reset", "update")
MODELS: dict[str, dict[str, Any]] = {
    "before": {},
    "after": AFTER,
    "feeding": dict(input_feeding=True, cell="lstm", layers=2, **AFTER),
    "coverage": dict(coverage=True),
    "local-m": dict(normaliser="local-m", window=1),
    "local-m-after": dict(normaliser="local-m", window=2, **AFTER),
    "local-p": dict(normaliser="local-p", window=2, **AFTER),
    "local-p-before": dict(normaliser="local-p", window=2),
    "hard": dict(normaliser="hard"),
    "structured": dict(normaliser="structured"),
    "fixed": dict(score="none", context="both", reverse_source=True, cell="lstm", layers=2),
    "shared": dict(score="dot", share_weights=True, cell="lstm", layers=2, attend="after", **ONE_WAY),
    "lstmn": dict(encoder="lstmn", cell="lstm", **ONE_WAY),
    "elman": dict(cell="rnn"),
}
WRITTEN = "a red dog ."
WORDS = TEXT.split()


def translator(name: str, **options: Any) -> Any:
    return looking.translator(RecurrentConfig(**{**SMALL, **MODELS[name], **options}))


def float64(module: Any) -> dict[str, np.ndarray]:
    return {name: array.astype(np.float64) for name, array in module.state_dict().items()}


def rows(kind: AttentionWeights) -> np.ndarray:
    return np.asarray(kind.weights.sum(axis=-1))


@pytest.mark.parametrize("name", MODELS)
def test_every_recurrent_translator_shows_what_it_has_and_translates_as_before(name: str) -> None:
    model, options = translator(name), MODELS[name]
    before = model.translate([TEXT], beam=2, attention=options.get("score") != "none")[0]
    maps = model.attention(TEXT, beam=2)
    after = model.translate([TEXT], beam=2)[0]
    assert (maps.output, after.score, after.tokens) == (before.text, before.score, before.tokens)
    cell = options.get("cell", "gru")
    of_decoder = {"lstm": LSTM, "gru": GRU, "rnn": ()}[cell]
    of_encoder = LSTM if options.get("encoder") == "lstmn" else of_decoder
    expected = [f"gates.{gate}" for gate in of_encoder] + [f"gates.decoder.{gate}" for gate in of_decoder]
    expected = ["cross"] * (options.get("score") != "none") + expected
    assert list(maps) == ["encoder"] * (options.get("encoder") == "lstmn") + expected
    layers = options.get("layers", 1)
    directions = 1 if options.get("bidirectional") is False else 2
    for kind, weights in maps.items():
        if kind.startswith("gates"):
            of_them = 1 if kind.startswith("gates.decoder") else directions
            words = [*WORDS, "</s>"] if of_them == directions and "decoder" not in kind else None
            assert weights.weights.shape[:3] == (layers, of_them, 8)
            assert weights.keys == tuple(words) if words else weights.keys[0] == "<s>"
            assert (weights.weights > 0.0).all() and (weights.weights < 1.0).all() and weights.scale == "gate"
            assert weights.queries[0] == "unit 1"
            assert [weights.head_name(head) for head in range(of_them)][-1] == (
                "backward" if of_them == 2 else "head 1"
            )
    if "cross" in maps:
        cross = maps["cross"]
        assert cross.weights.shape == (1, 1, len(maps["cross"].queries), len(WORDS) + 1)
        np.testing.assert_allclose(cross.weights[0, 0, : len(before.tokens)], before.attention, atol=1e-5)


@pytest.mark.parametrize("name", ["before", "after", "feeding", "coverage", "local-m", "local-m-after", "hard"])
def test_rows_sum_to_one(name: str) -> None:
    np.testing.assert_allclose(rows(translator(name).attention(TEXT, WRITTEN)["cross"]), 1.0, atol=1e-5)


@pytest.mark.parametrize("name", ["local-p", "local-p-before"])
def test_a_gaussian_leaves_less_than_one_around_its_centre(name: str) -> None:
    model = translator(name)
    cross = model.attention(TEXT, WRITTEN)["cross"]
    assert cross.centres is not None and cross.centres.shape == (len(cross.queries),)
    assert (rows(cross) < 1.0).all() and (rows(cross) > 0.0).all()
    distance = np.abs(np.arange(len(cross.keys)) - cross.centres[:, None])
    assert not cross.weights[0, 0][distance > 2].any()
    assert (cross.weights[0, 0][distance < 1.9] > 0.0).all()


def test_the_predicted_centre_is_that_of_the_paper() -> None:
    """p = S · sigmoid(vᵀ tanh(W h)), h the decoder's states (Luong et al., 2015, equation 9)."""
    model = translator("local-p").model
    ids, offsets = np.array([4, 5, 6, 7, 3], np.int32), np.array([0, 5], np.int32)
    with no_grad():
        encoded = model.encode(ids, offsets)
        with nn.watching(model.decoder) as seen:
            model.decoder(model.target_embedding(ids), offsets, encoded, offsets)
    [call] = [each for each in seen if isinstance(each.module, nn.Attention)]
    [kind] = one_head_attention(seen, "", list("abcde"), list("vwxyz"), ("", ""))
    p, h = float64(model.decoder.attention.normaliser), call.args[0].numpy().astype(np.float64)
    expected = 5 * sigmoid(np.tanh(h @ p["hidden.weight"].T) @ p["v"][0])
    assert kind.centres is not None
    assert_close(kind.centres, expected, terms=64)


@pytest.mark.parametrize("name", ["local-m", "local-m-after"])
def test_the_window_of_local_m_runs_along_the_source(name: str) -> None:
    window = MODELS[name]["window"]
    cross = translator(name).attention("the animal was", "a red dog . a red")["cross"]
    assert cross.centres is not None
    assert cross.centres.tolist() == [0, 1, 2, 3, 3, 3, 3]  # it stays at the last position, the end token
    outside = np.abs(np.arange(4) - cross.centres[:, None]) > window
    assert not cross.weights[0, 0][outside].any() and (cross.weights[0, 0][~outside] > 0.0).all()


def test_hard_attention_says_its_position() -> None:
    cross = translator("hard").attention(TEXT, WRITTEN)["cross"]
    assert sorted(np.unique(cross.weights).tolist()) == [0.0, 1.0]
    assert cross.centres is not None
    np.testing.assert_array_equal(cross.centres, cross.weights[0, 0].argmax(axis=1))


def test_marginals_are_numbers_by_themselves() -> None:
    cross = translator("structured").attention(TEXT, WRITTEN)["cross"]
    assert cross.scale == "gate" and (cross.weights > 0.0).all() and (cross.weights < 1.0).all()
    assert np.abs(rows(cross) - 1.0).max() > 0.1


def test_an_lstm_network_looks_at_its_past() -> None:
    encoder = translator("lstmn").attention(TEXT, WRITTEN)["encoder"]
    assert encoder.queries == encoder.keys == (*WORDS, "</s>")
    assert not np.triu(encoder.weights[0, 0]).any()
    np.testing.assert_allclose(rows(encoder)[0, 0], [0.0, *[1.0] * len(WORDS)], atol=1e-6)
    turned = translator("lstmn", reverse_source=True).attention(TEXT, WRITTEN)["encoder"]
    assert turned.keys == encoder.keys
    words = turned.weights[0, 0, :-1, :-1]
    assert not np.tril(words).any() and (words[np.triu_indices(len(words), 1)] > 0.0).all()  # it read the last first
    back = translator("lstmn").attention(" ".join(reversed(WORDS)), WRITTEN)["encoder"].weights[0, 0, :-1, :-1]
    np.testing.assert_allclose(words, back[::-1, ::-1], atol=1e-6)


# --- gates


@pytest.mark.parametrize("name", ["before", "fixed"])
def test_the_encoder_s_gates_are_the_formula_s(name: str) -> None:
    """In both directions and all layers; "fixed" reads from the last word to the first, the end token last."""
    model = translator(name)
    maps, network = model.attention(TEXT, WRITTEN), model.model
    unit, layers = ("gru", 1) if name == "before" else ("lstm", 2)
    ids = model.source_tokenizer.encode(TEXT)
    read = [*(reversed(ids) if name == "fixed" else ids), network.eos_id]
    p = float64(network.encoder)
    x = np.sqrt(6) * p["embedding.weight"][read]  # vectors of numbers around 1
    for layer in range(layers):
        inner = [p[f"layers.layers.{layer}.{part}"] for part in ("input_weight", "input_bias")]
        recurrent = [p[f"layers.layers.{layer}.{part}"] for part in ("hidden_weight", "hidden_bias")]
        zeros = np.zeros((2, 1, 8))
        arguments: Any = (x @ inner[0].T + inner[1], [0, len(read)], *recurrent, zeros, zeros, "both")
        for gate, expected in reference_recurrent.gates(unit, *arguments).items():
            in_place = np.concatenate([expected[-2::-1], expected[-1:]]) if name == "fixed" else expected
            got = maps[f"gates.{gate}"].weights[layer]
            assert_close(got, in_place.reshape(len(read), 2, 8).transpose(1, 2, 0), terms=256)
        x = reference_recurrent.recurrent(unit, *arguments)[0]


def test_the_decoder_s_gates_are_the_formula_s_with_the_context_in_them() -> None:
    """Bahdanau's: the cell reads the word and the context that the state before it attends to."""
    model = translator("before")
    maps, network = model.attention(TEXT, WRITTEN), model.model
    source = [*model.source_tokenizer.encode(TEXT), network.eos_id]
    inputs = [network.bos_id, *model.target_tokenizer.encode(WRITTEN)]
    with no_grad():
        encoded = network.encode(np.array(source, np.int32), np.array([0, len(source)], np.int32))
    memory, h = encoded.states.numpy().astype(np.float64), encoded.last[0][0].numpy()[0].astype(np.float64)
    p = float64(network.decoder)
    words = np.sqrt(6) * float64(network.target_embedding)["weight"][inputs]
    h = np.tanh(h @ p["bridges.0.weight"].T + p["bridges.0.bias"])
    score = {name.removeprefix("attention.score."): array for name, array in p.items() if "attention.score" in name}
    found: dict[str, list[np.ndarray]] = {gate: [] for gate in GRU}
    looks = []
    for word in words:
        weights = softmax(_additive(score, h, memory))
        looks.append(weights)
        context = weights @ memory
        x = word @ p["rnn.layers.0.input_weight"].T + p["rnn.layers.0.input_bias"] + context @ p["feed.weight"].T
        u = p["rnn.layers.0.hidden_weight"] @ h + p["rnn.layers.0.hidden_bias"]
        for part, gate in enumerate(GRU):
            found[gate].append(sigmoid(x + u)[8 * part : 8 * (part + 1)])
        h, _ = reference_recurrent.step("gru", x, u, h, h)
    assert_close(maps["cross"].weights[0, 0], np.array(looks), terms=512)
    for gate, values in found.items():
        assert_close(maps[f"gates.decoder.{gate}"].weights[0, 0], np.array(values).T, terms=512)


def _additive(p: Mapping[str, np.ndarray], h: np.ndarray, memory: np.ndarray) -> np.ndarray:
    """v · tanh(W h + U s + b) of each s."""
    query = h @ p["query.weight"].T + p.get("query.bias", 0.0)
    return np.asarray(np.tanh(query + memory @ p["key.weight"].T + p.get("key.bias", 0.0)) @ p["v"])


def test_steps_one_by_one_give_the_gates_of_all_at_once() -> None:
    """A coverage makes a decoder go step by step, and changes nothing of the states of one that attends behind them."""
    at_once = translator("after", score="additive")
    stepwise = translator("after", score="additive", coverage=True)
    stepwise.model.load_state_dict({**stepwise.model.state_dict(), **at_once.model.state_dict()})
    assert stepwise.model.decoder.sequential and not at_once.model.decoder.sequential
    ours, theirs = stepwise.attention(TEXT, WRITTEN), at_once.attention(TEXT, WRITTEN)
    for gate in GRU:
        kind = f"gates.decoder.{gate}"
        np.testing.assert_allclose(ours[kind].weights, theirs[kind].weights, atol=1e-6)


def test_a_student_s_decoder_forgets_word_by_word() -> None:
    config = TransformerConfig(
        d_model=8, ffn=12, heads=2, encoder_layers=2, decoder_layers=2, dropout=0.0, decoder="ssru"
    )
    model = looking.translator(config)
    maps = model.attention(TEXT, WRITTEN)
    assert list(maps) == ["encoder", "cross", "gates.decoder.forget"]
    forget = maps["gates.decoder.forget"]
    assert forget.weights.shape == (2, 1, 8, 5) and forget.keys == ("<s>", *WRITTEN.split())
    p, network = float64(model.model.decoder), model.model
    inputs = np.array([network.bos_id, *model.target_tokenizer.encode(WRITTEN)], np.int32)
    x = network.target_embedding(inputs, np.arange(5, dtype=np.int32)).numpy().astype(np.float64)
    expected = sigmoid(x @ p["layers.0.ssru.projection.weight"][:8].T + p["layers.0.ssru.bias"])
    assert_close(forget.weights[0, 0], expected.T, terms=64)


def test_the_gates_of_a_hierarchical_network() -> None:
    model = looking.text_classifier(HanConfig(embedding=6, word_hidden=4, sentence_hidden=5, dropout=0.0))
    maps = model.attention("the animal was tired. the dog was red.")
    assert list(maps)[2:] == [f"gates.{level}.{gate}" for level in ("words", "sentences") for gate in GRU]
    words = maps["gates.words.update"]
    assert words.weights.shape[:3] == (1, 2, 4) and words.keys == maps["words"].keys
    assert maps["gates.sentences.reset"].weights.shape == (1, 2, 5, len(maps["sentences"].keys))
    # A sentence begins anew: the second one's gates are those that it has alone.
    alone = model.attention("the dog was red.")["gates.words.update"]
    begin = len(words.keys) - len(alone.keys)
    np.testing.assert_allclose(words.weights[..., begin:], alone.weights, atol=1e-6)


@pytest.mark.parametrize("attention", ["soft", "hard", "none"])
def test_the_gates_of_the_lstm_that_writes_captions(attention: Any) -> None:
    encoder = ViTConfig(image_size=12, patch_size=4, **looking.STACK)
    decoder = LSTMDecoderConfig(width=10, hidden=14, dropout=0.0, attention=attention)
    model = looking.captioner(CaptionerConfig(encoder=encoder, decoder=decoder))
    calls: list[Any] = []
    cell = model.model.decoder.cell
    with cell.register_forward_pre_hook(lambda module, args, kwargs: calls.append((*args, kwargs)), with_kwargs=True):
        maps = model.attention(picture(), CAPTION)
    steps = ["<s>", *CAPTION.split()]
    assert maps["gates.decoder.input"].keys == tuple(["image", *steps] if attention == "none" else steps)
    assert ("cross" in maps) == (attention != "none")
    p = float64(cell.weights)
    for index, (x, (h, _), kwargs) in enumerate(calls):
        inputs, state = x.numpy().astype(np.float64), h.numpy().astype(np.float64)
        if not kwargs.get("projected"):
            inputs = inputs @ p["input_weight"].T + p["input_bias"] + p["hidden_bias"]
        i, f, _, o = np.split(inputs[0] + p["hidden_weight"] @ state[0], 4)
        for gate, expected in zip(LSTM, (i, f, o), strict=True):
            assert_close(maps[f"gates.decoder.{gate}"].weights[0, 0, :, index], sigmoid(expected), terms=128)
    if attention == "hard":
        cross = maps["cross"]
        np.testing.assert_array_equal(cross.centres, cross.weights[0, 0].argmax(axis=1))


# --- users' own models


class _Reader(nn.Module):
    """A model of somebody: an LSTM whose states read a memory."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(3, 5, 2)
        self.memory = nn.MemoryRead(5, 4, slots=6)

    def forward(self, x: Any, offsets: np.ndarray) -> Any:
        states, _ = self.lstm(x, offsets)
        return self.memory(states).result


@pytest.mark.parametrize("stepwise", [False, True])
def test_a_memory_and_gates_of_a_user_s_own_model(stepwise: bool) -> None:
    model, x = _Reader(), np.random.default_rng(0).standard_normal((4, 3)).astype(np.float32)
    offsets = np.array([0, 4], np.int32)
    plain = model(tensor(x), offsets).numpy()
    with no_grad(), nn.watching(model) as seen:
        output = model(tensor(x), offsets)
    np.testing.assert_array_equal(output.numpy(), plain)
    if stepwise:  # the same reads, a call a query
        states = seen[0].output[0].numpy()
        with no_grad(), nn.watching(model) as seen:
            for row in range(4):
                model.memory(tensor(states[row : row + 1]))
    slots = [f"slot {number}" for number in range(1, 7)]
    [memory] = memory_reads(seen, "", list("abcd"), slots, ("word", "slot"))
    assert memory.kind == "memory" and memory.weights.shape == (1, 1, 4, 6)
    np.testing.assert_allclose(rows(memory), 1.0, atol=1e-6)
    if not stepwise:
        kinds = gates(seen, "lstm", list("abcd"), "word")
        assert [each.kind for each in kinds] == [f"gates.{gate}" for gate in LSTM]
        assert kinds[0].weights.shape == (2, 1, 5, 4)
