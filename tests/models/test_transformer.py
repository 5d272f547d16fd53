"""The Transformer: packed against padded, cached against whole, the same bytes in any batch, threads and run."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from closeness import assert_close
from pytorch_twin import copy_transformer, gradients_by_our_names, randomise, transformer_twin

import attnkit
from attnkit import _core, ops, optim
from attnkit.decoding import DecodingOptions, Packed, decode
from attnkit.models import Transformer, TransformerConfig, build_model
from attnkit.text import Batch
from attnkit.text.tokenizers.vocabulary import BOS, EOS

V = 19
SMALL: dict[str, Any] = dict(
    d_model=16, ffn=24, heads=2, encoder_layers=2, decoder_layers=2, dropout=0.0, max_length=64
)


def small_model(seed: int = 0, deviation: float = 0.3, **options: Any) -> Transformer:
    model = build_model(TransformerConfig(**{**SMALL, **options}), V, V)
    randomise(model, seed, deviation)
    return model


def random_pairs(
    lengths: list[tuple[int, int]], vocabulary: int = V, seed: int = 0
) -> list[tuple[np.ndarray, np.ndarray]]:
    generator = np.random.default_rng(seed)
    return [tuple(generator.integers(4, vocabulary, n).astype(np.int32) for n in pair) for pair in lengths]  # type: ignore[misc]


def offsets_of(parts: list[np.ndarray]) -> np.ndarray:
    return np.concatenate([[0], np.cumsum([len(part) for part in parts])]).astype(np.int32)


def batch_of(pairs: list[tuple[np.ndarray, np.ndarray]]) -> Batch:
    sources = [source for source, _ in pairs]
    targets = [target for _, target in pairs]
    inputs = [np.concatenate([[BOS], target]).astype(np.int32) for target in targets]
    labels = [np.concatenate([target, [EOS]]).astype(np.int32) for target in targets]
    return Batch(
        np.concatenate(sources),
        offsets_of(sources),
        np.concatenate(inputs),
        np.concatenate(labels),
        offsets_of(inputs),
        np.arange(len(pairs), dtype=np.int32),
        sum(len(part) for part in labels),
        len(pairs),
    )


PAIRS = random_pairs([(5, 4), (1, 9), (12, 1), (3, 3)])


# --- packed against padded


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"norm": "pre", "activation": "gelu", "tie_embeddings": "none"},
        {"norm": "pre", "activation": "silu", "tie_embeddings": "decoder", "positions": "learned"},
        {"norm": "post", "activation": "gelu", "tie_embeddings": "none", "positions": "learned"},
        {"norm_eps": 0.1, "activation": "gelu_tanh", "scale_embeddings": False, "embedding_norm": True},
        {"norm": "pre", "norm_kind": "rms", "norm_eps": 0.01, "gated": True, "activation": "silu"},
        {"positions": "sinusoidal-halves", "position_spacing": "tensor2tensor", "position_offset": 2},
        {"positions": "learned", "position_offset": 2, "embedding_norm": True, "norm_kind": "rms"},
    ],
    ids=str,
)
def test_packed_equals_padded_with_masks(options: dict[str, Any]) -> None:
    torch = pytest.importorskip("torch")
    ours = small_model(**options)
    theirs = transformer_twin(ours)
    copy_transformer(ours, theirs)
    batch = batch_of(PAIRS)

    def padded(values: np.ndarray, offsets: np.ndarray, fill: int) -> Any:
        rows = [torch.tensor(values[a:b], dtype=torch.int64) for a, b in pairwise(offsets)]
        return torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=fill)

    source = padded(batch.source_ids, batch.source_offsets, -1)
    target = padded(batch.target_input_ids, batch.target_offsets, -1)
    labels = padded(batch.target_labels, batch.target_offsets, -100)
    # Whatever stands where the padding is must not matter: token 7.
    logits = theirs(source.where(source >= 0, 7), source < 0, target.where(target >= 0, 7), target < 0)
    expected = torch.nn.functional.cross_entropy(logits.reshape(-1, V), labels.reshape(-1), label_smoothing=0.1)

    assert_close(ours(batch), logits[target >= 0].detach(), terms=SMALL["ffn"] * 4)
    result = ours.loss(batch, label_smoothing=0.1)
    assert result.tokens == batch.tokens == (labels != -100).sum()
    assert_close(result.loss, expected.item(), terms=SMALL["ffn"])
    plain = torch.nn.functional.cross_entropy(logits.reshape(-1, V), labels.reshape(-1), reduction="sum")
    assert_close(result.nll_sum, plain.item(), terms=SMALL["ffn"])

    result.loss.backward()
    expected.backward()
    gradients = gradients_by_our_names(ours, copy_transformer, theirs)
    for name, parameter in ours.named_parameters():
        assert parameter.grad is not None, name
        assert_close(parameter.grad, gradients[name], terms=SMALL["ffn"] * 16, scale=0.1)


# --- the same bytes


def logits_by_sentence(model: Transformer, pairs: list[tuple[np.ndarray, np.ndarray]]) -> list[np.ndarray]:
    batch = batch_of(pairs)
    logits = model(batch).numpy()
    return np.split(logits, batch.target_offsets[1:-1])


@pytest.mark.parametrize("options", [{}, {"decoder": "ssru"}], ids=str)
def test_a_sentence_has_the_same_logits_in_every_batch(options: dict[str, Any], isa: str) -> None:
    model = small_model(d_model=48, heads=4, ffn=80, **options).eval()
    pairs = random_pairs([(7, 5), (30, 22), (1, 1), (18, 33), (2, 60), (40, 3)])
    together = logits_by_sentence(model, pairs)
    for index, pair in enumerate(pairs):
        np.testing.assert_array_equal(logits_by_sentence(model, [pair])[0], together[index])
    backwards = logits_by_sentence(model, pairs[::-1])[::-1]
    twice = logits_by_sentence(model, pairs + pairs)
    for index, expected in enumerate(together):
        np.testing.assert_array_equal(backwards[index], expected)
        np.testing.assert_array_equal(twice[index], expected)
        np.testing.assert_array_equal(twice[index + len(pairs)], expected)


def train(
    seed: int, threads: int | None = None, steps: int = 3, precision: str = "fp32", decoder: Any = "attention"
) -> tuple[dict[str, np.ndarray], list[float]]:
    """The weights and losses of a few steps of a model that is large enough for the kernels to use several threads."""
    before = _core.get_num_threads()
    _core.set_num_threads(threads or before)
    try:
        attnkit.manual_seed(seed)
        sizes: dict[str, Any] = dict(d_model=64, ffn=128, heads=4, encoder_layers=2, decoder_layers=2, dropout=0.2)
        model = build_model(TransformerConfig(**sizes, decoder=decoder), 1000, 1000)
        optimizer = optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.01)
        losses = []
        for step in range(steps):
            batch = batch_of(random_pairs([(20, 18), (31, 29), (8, 40), (50, 2)] * 4, 1000, seed=step))
            with attnkit.precision(precision):
                loss = model.loss(batch).loss
                loss.backward()
            scale = optim.clip_scale(optim.grad_norm(model.parameters()), 1.0)
            optimizer.step(scale)
            optimizer.zero_grad()
            losses.append(loss.item())
        return model.state_dict(), losses
    finally:
        _core.set_num_threads(before)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("decoder", ["attention", "ssru"])
def test_training_gives_the_same_bytes_with_one_thread_and_with_two(decoder: str, precision: str) -> None:
    one, losses_one = train(3, threads=1, precision=precision, decoder=decoder)
    two, losses_two = train(3, threads=2, precision=precision, decoder=decoder)
    assert losses_one == losses_two
    for name, array in one.items():
        np.testing.assert_array_equal(two[name], array, err_msg=name)


def test_training_depends_on_the_seed_and_on_nothing_else() -> None:
    first, losses = train(3)
    again, same_losses = train(3)
    other, other_losses = train(4)
    assert losses == same_losses and losses != other_losses
    for name, array in first.items():
        np.testing.assert_array_equal(again[name], array, err_msg=name)
    assert any(not np.array_equal(other[name], array) for name, array in first.items())


def test_the_random_state_continues_where_it_was() -> None:
    model = small_model(dropout=0.5)
    batch = batch_of(PAIRS)
    state = attnkit.random_state()
    losses = [model.loss(batch).loss.item() for _ in range(2)]
    assert losses[0] != losses[1]
    attnkit.set_random_state(state)
    assert [model.loss(batch).loss.item() for _ in range(2)] == losses


@pytest.mark.parametrize("option", ["attention_dropout", "activation_dropout"])
def test_each_dropout_has_its_own_rate(option: str) -> None:
    batch = batch_of(PAIRS)

    def loss(**options: float) -> float:
        attnkit.manual_seed(7)
        model = small_model(**options)
        return model.loss(batch).loss.item()

    quiet = loss(attention_dropout=0.0, activation_dropout=0.0)
    assert loss(**{"attention_dropout": 0.0, "activation_dropout": 0.0, option: 0.5}) != quiet
    assert loss(dropout=0.0) == quiet  # a rate that is not given is that of `dropout`


# --- cached against whole


def whole_log_probs(model: Transformer, source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """[len(target) + 1, V]: of the token after bos and after each token of the target."""
    return ops.log_softmax(logits_by_sentence(model, [(source, target)])[0])


SSRU: dict[str, Any] = {"decoder": "ssru", "activation": "relu"}

# Every option of layers and embeddings, in two halves.
PUBLIC: list[dict[str, Any]] = [
    {"positions": "learned", "position_offset": 2, "embedding_norm": True, "activation": "gelu_tanh", "norm_eps": 0.1},
    {"norm": "pre", "positions": "sinusoidal-halves", "position_spacing": "tensor2tensor", "position_offset": 2,
     "norm_kind": "rms", "gated": True, "activation": "silu"},
]  # fmt: skip


@pytest.mark.parametrize(
    "options",
    [{}, {"norm": "pre", "tie_embeddings": "none"}, {"positions": "learned"}, *PUBLIC, SSRU, {**SSRU, "norm": "pre"}],
    ids=str,
)
def test_steps_with_a_cache_equal_one_pass(options: dict[str, Any]) -> None:
    model = small_model(**options).eval()
    # 40 tokens outgrow the first cache twice; the sentences end at different steps and leave.
    pairs = random_pairs([(5, 40), (9, 2), (1, 17), (6, 1)], seed=1)
    expected = [whole_log_probs(model, *pair) for pair in pairs]
    batch = batch_of(pairs)
    state = model.start(Packed(batch.source_ids, batch.source_offsets))
    alive = list(range(len(pairs)))
    tokens = [np.concatenate([[BOS], target]) for _, target in pairs]
    for position in range(41):
        still = [row for row, sentence in enumerate(alive) if position < len(tokens[sentence])]
        if len(still) < len(alive):
            state.select(np.array(still, np.int32))
            alive = [alive[row] for row in still]
        assert state.rows == len(alive)
        output = model.step(state, np.array([tokens[sentence][position] for sentence in alive], np.int32))
        for row, sentence in enumerate(alive):
            assert_close(output.log_probs[row], expected[sentence][position], terms=SMALL["ffn"])
        assert output.attention is None


@pytest.mark.parametrize("options", [{}, {"decoder": "ssru"}], ids=str)
def test_a_step_does_not_depend_on_the_rows_beside_it(options: dict[str, Any], isa: str) -> None:
    model = small_model(d_model=48, heads=4, ffn=80, **options).eval()
    pairs = random_pairs([(7, 20), (30, 20), (1, 20)], seed=2)

    def steps(chosen: list[int]) -> list[Any]:
        batch = batch_of([pairs[i] for i in chosen])
        state = model.start(Packed(batch.source_ids, batch.source_offsets))
        tokens = np.stack([np.concatenate([[BOS], pairs[i][1]]) for i in chosen]).astype(np.int32)
        return [model.step(state, np.ascontiguousarray(tokens[:, t]), attention=True) for t in range(20)]

    together = steps([0, 1, 2])
    for index in range(3):
        for alone, beside in zip(steps([index]), together, strict=True):
            np.testing.assert_array_equal(alone.log_probs[0], beside.log_probs[index])
            length = len(pairs[index][0])
            np.testing.assert_array_equal(alone.attention[0], beside.attention[index][:length])
            assert not beside.attention[index][length:].any()


def test_asking_for_attention_changes_no_bit() -> None:
    model = small_model().eval()
    batch = batch_of(PAIRS)
    outputs = []
    for wanted in (True, False):
        state = model.start(Packed(batch.source_ids, batch.source_offsets))
        outputs.append(model.step(state, np.full(len(PAIRS), BOS, np.int32), attention=wanted))
    np.testing.assert_array_equal(outputs[0].log_probs, outputs[1].log_probs)
    assert outputs[0].attention.shape == (4, 12)
    assert_close(outputs[0].attention.sum(axis=1), np.ones(4), terms=12)


@pytest.mark.parametrize("options", [{}, {"decoder": "ssru"}], ids=str)
def test_select_repeats_reorders_and_drops(options: dict[str, Any]) -> None:
    model = small_model(**options).eval()
    sources = [source for source, _ in PAIRS[:3]]
    state = model.start(Packed.of(sources))
    histories: list[tuple[int, list[int]]] = [(0, []), (1, []), (2, [])]  # (source, tokens written)
    generator = np.random.default_rng(5)
    # Beams grow; rows of a sentence change places; a sentence in the middle goes; one is left.
    for rows in ([0, 0, 1, 2, 2], [1, 0, 0, 2, 4, 3], [2, 1, 4, 4], [3, 2], [1]):
        last = [tokens[-1] if tokens else BOS for _, tokens in histories]
        model.step(state, np.array(last, np.int32))
        state.select(np.array(rows, np.int32))
        histories = [(histories[row][0], [*histories[row][1], int(generator.integers(4, V))]) for row in rows]
        assert state.rows == len(rows)
        # Looking ahead without keeping it: a step on a copy of the state.
        ahead = model.start(Packed.of([sources[i] for i, _ in histories]))
        for position in range(len(histories[0][1]) + 1):
            fed = [([BOS, *tokens])[position] for _, tokens in histories]
            wanted = model.step(ahead, np.array(fed, np.int32), attention=True)
        if rows == [1]:
            got = model.step(state, np.array([tokens[-1] for _, tokens in histories], np.int32), attention=True)
            np.testing.assert_array_equal(got.log_probs, wanted.log_probs)
            np.testing.assert_array_equal(got.attention, wanted.attention)
    whole = whole_log_probs(model, sources[histories[0][0]], np.array(histories[0][1], np.int32))
    assert_close(got.log_probs[0], whole[-1], terms=SMALL["ffn"])


# --- configurations


@pytest.mark.parametrize(
    ("tie", "names"),
    [
        ("all", {"source_embedding.weight"}),
        ("decoder", {"source_embedding.weight", "target_embedding.weight"}),
        ("none", {"source_embedding.weight", "target_embedding.weight", "generator.weight", "generator.bias"}),
    ],
)
def test_tied_embeddings(tie: Any, names: set[str]) -> None:
    model = small_model(tie_embeddings=tie)
    found = {name for name, _ in model.named_parameters() if not name.startswith(("encoder.", "decoder."))}
    assert found == names
    model.loss(batch_of(PAIRS)).loss.backward()
    assert all(parameter.grad is not None for parameter in model.parameters())
    if tie == "all":
        assert model.source_embedding.weight is model.target_embedding.weight is model.output_weight
    assert (model.output_bias is None) == (tie != "none")


def test_vocabularies_of_two_sizes() -> None:
    config = TransformerConfig(**SMALL)
    with pytest.raises(
        ValueError, match=re.escape('tie_embeddings = "all" needs one vocabulary for both languages, got 19 and 23')
    ):
        build_model(config, 19, 23)
    model = build_model(TransformerConfig(**SMALL, tie_embeddings="decoder"), 23, 19)
    assert model(batch_of(PAIRS)).shape == (batch_of(PAIRS).tokens, 19)


def test_a_sentence_beyond_the_learned_positions_is_refused() -> None:
    model = small_model(positions="learned", max_length=8)
    with pytest.raises(ValueError, match=re.escape("[positions] expected at most 8 tokens in a sentence, got 9")):
        model.loss(batch_of(random_pairs([(9, 2)])))
    with pytest.raises(ValueError, match=re.escape("[positions] expected at most 8 tokens in a sentence, got 10")):
        model.loss(batch_of(random_pairs([(2, 9)])))
    assert model.max_source_length == model.max_target_length == 8


@pytest.mark.parametrize("ids", [[V], [-1]], ids=["too large", "negative"])
def test_a_token_outside_the_vocabulary_is_refused(ids: list[int]) -> None:
    model = small_model()
    bad = np.array(ids, np.int32)
    for pair in ((bad, PAIRS[0][1]), (PAIRS[0][0], bad)):
        with pytest.raises(ValueError, match=re.escape(f"[embedding] expected ids in [0, {V}), got {ids[0]}")):
            model.loss(batch_of([pair]))


# --- learning


@pytest.mark.parametrize(
    "options",
    [{}, {"norm": "pre", "activation": "gelu", "tie_embeddings": "none", "positions": "learned"}, *PUBLIC,
     SSRU, {**SSRU, "positions": "none"}],
    ids=str,
)  # fmt: skip
def test_it_learns_to_copy(options: dict[str, Any]) -> None:
    attnkit.manual_seed(7)
    config = TransformerConfig(
        **{**SMALL, "d_model": 32, "ffn": 64, "heads": 4, "encoder_layers": 1, "decoder_layers": 1, **options}
    )
    model = build_model(config, V, V)
    pairs = [(source, source) for source, _ in random_pairs([(n, 1) for n in (3, 4, 5, 6, 7, 5, 4, 6)], seed=3)]
    batch = batch_of(pairs)
    optimizer = optim.Adam(model.parameters(), lr=4e-3, betas=(0.9, 0.98))
    first = model.loss(batch).loss.item()
    for _ in range(150):
        loss = model.loss(batch, label_smoothing=0.0).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    assert loss.item() < 0.02 < first
    results = decode(model.eval(), Packed(batch.source_ids, batch.source_offsets), DecodingOptions(beam=2))
    assert [result[0].tokens.tolist() for result in results] == [source.tolist() for source, _ in pairs]


def test_relative_positions_learn_and_are_each_stacks_own() -> None:
    options = dict(positions="none", relative_buckets=8, relative_distance=16, head_dim=5, norm="pre", norm_kind="rms")
    model = small_model(**options, tie_embeddings="inputs")
    model.loss(batch_of(random_pairs([(7, 5), (3, 9)])), 0.0).loss.backward()
    for stack in (model.encoder, model.decoder):
        gradient = stack.position_bias.weight.grad
        assert gradient is not None and np.abs(gradient.numpy()).max() > 0
    model.eval()
    ids, offsets = np.array([5, 6, 7, 8], np.int32), np.array([0, 4], np.int32)
    forwards, back = (model.encode(np.ascontiguousarray(row), offsets).numpy() for row in (ids, ids[::-1]))
    assert np.abs(forwards - back[::-1]).max() > 1e-3  # no bag of words
