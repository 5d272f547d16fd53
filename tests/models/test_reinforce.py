"""REINFORCE: its gradient against the exact one, its baseline, the way from soft attention, and what it learns."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import reference_recurrent
from pytorch_twin import randomise
from test_transformer import batch_of

import attnkit
from attnkit import _core, nn, optim
from attnkit.models import build_model, load_model, save_model
from attnkit.models.output import LossOutput
from attnkit.models.recurrent import Recurrent, Sorted
from attnkit.models.recurrent_config import RecurrentConfig
from attnkit.models.reinforce import Attempt, Reinforce, sums_to_the_end
from attnkit.text.tokenizers.vocabulary import EOS

V = 11
Array64 = np.ndarray[Any, np.dtype[np.float64]]


def hard_model(seed: int = 0, deviation: float = 0.7, **options: Any) -> Recurrent:
    sizes = dict(embedding_size=5, hidden_size=6, dropout=0.0, max_length=64, entropy_bonus=0.0)
    model = build_model(RecurrentConfig(**{"normaliser": "hard", "soft_batches": 0, **sizes, **options}), V, V)
    randomise(model, seed, deviation)
    assert isinstance(model, Recurrent) and model.reinforce is not None
    model.reinforce.baseline.copy_(np.array([0.3], np.float32))  # whatever it is, the gradient is unbiased
    return model


# --- the estimator


SOURCE, TARGET = np.array([4, 9, EOS], np.int32), np.array([7, 5], np.int32)
LEARNT_BY_SAMPLES = ("decoder.attention.score.v", "decoder.attention.score.query.weight")
CHECKED = (*LEARNT_BY_SAMPLES, "decoder.readout.bias", "decoder.feed.weight")


def expected_loss(p: dict[str, Array64], first: Array64, memory: Array64, words: Array64, labels: np.ndarray) -> float:
    """The mean over all choices of positions of -log p of the labels, a label, in float64: each choice leads to a state
    of its own, whose probabilities of the next choice are its own. p: parameters of the decoder, by their names."""
    keys = memory @ p["attention.score.key.weight"].T + p["attention.score.key.bias"]

    def rest(t: int, state: Array64) -> float:
        if t == len(labels):
            return 0.0
        scores = np.tanh(p["attention.score.query.weight"] @ state + keys) @ p["attention.score.v"]
        chances = np.exp(scores - scores.max())
        chances /= chances.sum()
        total = 0.0
        for chance, context in zip(chances, memory, strict=True):
            x = p["rnn.layers.0.input_weight"] @ words[t] + p["rnn.layers.0.input_bias"] + p["feed.weight"] @ context
            u = p["rnn.layers.0.hidden_weight"] @ state + p["rnn.layers.0.hidden_bias"]
            after, _ = reference_recurrent.step("gru", x, u, state, state)
            readout = np.tanh(p["readout.weight"] @ np.concatenate([after, context, words[t]]) + p["readout.bias"])
            logits = p["generator.weight"] @ readout + p["generator.bias"]
            cost = np.log(np.exp(logits - logits.max()).sum()) + logits.max() - logits[labels[t]]
            total += chance * (cost + rest(t + 1, after))
        return float(total)

    return rest(0, first) / len(labels)


def exact_gradients(model: Recurrent) -> dict[str, Array64]:
    """Those of `expected_loss`, by finite differences in float64."""
    batch = batch_of([(SOURCE, TARGET)])
    encoded = model.encode(batch.source_ids, batch.source_offsets)
    first = model.decoder.begin(encoded).layers[0][0].numpy()[0].astype(np.float64)
    memory = encoded.states.numpy().astype(np.float64)
    words = model.target_embedding(batch.target_input_ids).numpy().astype(np.float64)
    p = {name.removeprefix("decoder."): array.astype(np.float64) for name, array in model.state_dict().items()}
    gradients, size = {}, 1e-6
    for name in CHECKED:
        flat = p[name.removeprefix("decoder.")].reshape(-1)
        slopes = np.zeros(len(flat))
        for i, value in enumerate(flat.copy()):
            ends = []
            for flat[i] in (value + size, value - size):
                ends.append(expected_loss(p, first, memory, words, batch.target_labels))
            flat[i] = value
            slopes[i] = (ends[0] - ends[1]) / (2 * size)
        gradients[name] = slopes
    return gradients


def sampled_gradients(model: Recurrent, batch: Any, repeats: int) -> dict[str, Array64]:
    """By name [repeats, numbers]: each row the gradient of one pass over a batch."""
    rows = []
    for _ in range(repeats):
        model.zero_grad()
        model.loss(batch, label_smoothing=0.0).loss.backward()
        grads = {name: p.grad for name, p in model.named_parameters() if name in CHECKED}
        rows.append({name: grad.numpy().astype(np.float64).ravel() for name, grad in grads.items() if grad is not None})
    return {name: np.stack([row[name] for row in rows]) for name in CHECKED}


@pytest.mark.parametrize("baseline", ["mean", "soft"])
def test_the_gradient_is_that_of_the_expected_loss(baseline: str) -> None:
    """Positions that change the words behind them: the mean over 20,000 samples, within their own spread."""
    model, copies = hard_model(baseline=baseline), batch_of([(SOURCE, TARGET)] * 400)
    exact = exact_gradients(model)
    attnkit.manual_seed(4)
    for name, rows in sampled_gradients(model, copies, 50).items():
        error = np.linalg.norm(rows.std(axis=0, ddof=1)) / np.sqrt(len(rows))
        assert error < 0.15 * np.linalg.norm(exact[name]), name  # or nothing would be tested
        assert np.linalg.norm(rows.mean(axis=0) - exact[name]) < 2 * error + 1e-5, name


def test_the_soft_baseline_knows_how_hard_a_word_is() -> None:
    """Words that are likely or not, however they are attended: that is no noise of the choices any more."""
    draw, noise = np.random.default_rng(8), {}
    pairs = [tuple(draw.integers(4, V, 4).astype(np.int32) for _ in range(2)) for _ in range(20)]
    for baseline in ("mean", "soft"):
        model = hard_model(baseline=baseline)
        assert model.generator is not None and model.generator.bias is not None
        model.generator.bias.copy_(4 * np.random.default_rng(1).standard_normal(V).astype(np.float32))
        attnkit.manual_seed(4)
        sampled = sampled_gradients(model, batch_of(pairs), 60)
        noise[baseline] = sum(sampled[name].var(axis=0).sum() for name in LEARNT_BY_SAMPLES)
    assert noise["soft"] < 0.3 * noise["mean"]


def test_rewards_to_the_end() -> None:
    offsets = np.array([0, 3, 3, 5], np.int32)
    np.testing.assert_allclose(sums_to_the_end(np.array([1.0, 2, 4, 8, 16]), offsets), [7, 6, 4, 24, 16])


def test_reinforce_has_the_gradient_and_leaves_the_loss() -> None:
    part = Reinforce(baseline_decay=0.5, entropy_bonus=0.1, baseline=-3.0)
    log_probability = attnkit.tensor(np.log([0.5, 0.25]), requires_grad=True)
    entropy = attnkit.tensor(np.array([0.3, 0.2]), requires_grad=True)
    rewards = np.array([-1.0, -2.0], np.float32)
    value = part.gradient(nn.Choice(log_probability, entropy), rewards)
    assert value.item() == 0.0
    value.backward()
    assert log_probability.grad is not None and entropy.grad is not None
    np.testing.assert_allclose(log_probability.grad, -(rewards + 3.0) / 2)
    np.testing.assert_allclose(entropy.grad, [-0.05, -0.05])
    assert part.baseline.item() == pytest.approx(0.5 * -3.0 + 0.5 * -1.5)
    part.eval()
    part.gradient(nn.Choice(log_probability, entropy), rewards)
    assert part.baseline.item() == pytest.approx(-2.25)


# --- from soft attention to samples


class Batch:
    """Stands for a batch: soft attention costs 2 and gives each of two words -1; samples cost 6 and give -2 and -4."""

    def __init__(self) -> None:
        self.log: list[tuple[bool, bool]] = []
        self.log_probability = attnkit.tensor(np.log(np.array([0.5, 0.5], np.float32)), requires_grad=True)

    def attempt(self, soft: bool) -> Attempt:
        self.log.append((soft, _core.grad_enabled()))
        loss = attnkit.tensor(np.array(2.0 if soft else 6.0, np.float32))
        rewards = np.array([-1.0, -1.0] if soft else [-2.0, -4.0], np.float32)
        entropy = attnkit.tensor(np.zeros(2, np.float32))
        choice = None if soft else nn.Choice(self.log_probability, entropy)
        return Attempt(LossOutput(loss, 2 * loss.item(), 2), rewards, choice)


SOFT, SAMPLED, SOFT_UNSEEN = (True, True), (False, True), (True, False)


@pytest.mark.parametrize(
    ("against_soft", "share", "attempts", "loss", "slopes"),
    [
        (False, 0.0, [SAMPLED], 6.0, [1.0, 2.0]),  # -(R - b) / 2
        (True, 0.0, [SOFT_UNSEEN, SAMPLED], 6.0, [0.5, 1.5]),
        (True, 0.25, [SOFT, SAMPLED], 0.75 * 6.0 + 0.25 * 2.0, [0.75 * 0.5, 0.75 * 1.5]),
        (False, 0.5, [SOFT, SAMPLED], 4.0, [0.5, 1.0]),
    ],
)
def test_the_first_batches_are_soft(
    against_soft: bool, share: float, attempts: list[tuple[bool, bool]], loss: float, slopes: list[float]
) -> None:
    part = Reinforce(entropy_bonus=0.0, against_soft=against_soft, soft_batches=3, soft_share=share)
    for _ in range(3):
        batch = Batch()
        assert part.is_soft() and part(batch.attempt).loss.item() == 2.0
        assert batch.log == [SOFT]
    assert part.baseline.item() == 0.0 and not part.is_soft()
    for _ in range(2):
        batch = Batch()
        part.baseline.copy_(np.zeros(1, np.float32))
        output = part(batch.attempt)
        output.loss.backward()
        assert batch.log == attempts and output.loss.item() == pytest.approx(loss) and output.nll_sum == 12.0
        np.testing.assert_allclose(batch.log_probability.grad, slopes, rtol=1e-6)
    assert part.count.item() == 3


def test_the_stage_is_named_for_the_log() -> None:
    model, batch = hard_model(soft_batches=1), batch_of([(SOURCE, TARGET)])
    assert model.stage == "soft attention"
    soft = model.decode(Sorted.of(batch))
    assert soft.choice is not None  # asked for by itself, a hard model samples from the first
    model.loss(batch)
    assert model.stage == ""


def test_soft_batches_are_those_of_a_soft_model() -> None:
    hard, batch = hard_model(soft_batches=2), batch_of([(SOURCE, TARGET)])
    soft = build_model(RecurrentConfig(embedding_size=5, hidden_size=6, dropout=0.0, max_length=64), V, V)
    state = {name: array for name, array in hard.state_dict().items() if not name.startswith("reinforce.")}
    soft.load_state_dict(state)
    assert isinstance(soft, Recurrent)
    for model in (hard, soft):
        model.loss(batch).loss.backward()
    assert hard.loss(batch).loss.item() == soft.loss(batch).loss.item()
    gradients = dict(hard.named_parameters())
    for name, parameter in soft.named_parameters():
        assert parameter.grad is not None and gradients[name].grad is not None
        np.testing.assert_array_equal(parameter.grad.numpy(), gradients[name].grad.numpy())


# --- files


def test_a_directory_from_before_the_count(tmp_path: Path) -> None:
    """A model that was written before there were soft batches loads, and is not soft again."""
    model = hard_model()
    save_model(model, tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    del config["model"]["soft_batches"]
    (tmp_path / "config.json").write_text(json.dumps(config))
    state = model.state_dict()
    attnkit.models.save_weights(
        {k: v for k, v in state.items() if k != "reinforce.count"}, tmp_path / "model.safetensors"
    )
    loaded = load_model(tmp_path)
    assert isinstance(loaded, Recurrent) and loaded.config.soft_batches > 0 and loaded.stage == ""
    np.testing.assert_array_equal(loaded.state_dict()["decoder.readout.bias"], state["decoder.readout.bias"])


def test_models_without_samples_are_written_as_they_were(tmp_path: Path) -> None:
    save_model(build_model(RecurrentConfig(embedding_size=4, hidden_size=4), V, V), tmp_path)
    keys = json.loads((tmp_path / "config.json").read_text())["model"].keys()
    assert "hard_gradient" in keys and not keys & {"baseline", "soft_batches", "soft_share"}


# --- learning where to look


@pytest.mark.parametrize("options", [{}, dict(attend="after", score="general")], ids=["before", "after"])
def test_positions_are_found(options: dict[str, Any]) -> None:
    """Sentences written backwards: each word must be looked up at a place of its own, in sentences never seen."""
    draw = np.random.default_rng(3)

    def some(count: int) -> Any:
        sources = [draw.integers(4, 4 + 12, draw.integers(3, 6)).astype(np.int32) for _ in range(count)]
        return batch_of([(np.append(source, EOS).astype(np.int32), source[::-1].copy()) for source in sources])

    attnkit.manual_seed(5)
    sizes = dict(embedding_size=16, hidden_size=32, encoder_size=16, dropout=0.0, max_length=64, soft_batches=150)
    model = build_model(RecurrentConfig(normaliser="hard", **sizes, **options), 16, 16)
    assert isinstance(model, Recurrent)
    optimizer = optim.Adam(model.parameters(), lr=0.01)
    for _ in range(250):
        model.loss(some(32), label_smoothing=0.0).loss.backward()
        optimizer.step(optim.clip_scale(optim.grad_norm(model.parameters()), 1.0))
        optimizer.zero_grad()
    model.eval()
    batch = some(64)
    right = sum(places_of(model, batch, i) for i in range(64))
    assert right > 0.9 * (batch.tokens - 64)


def places_of(model: Recurrent, batch: Any, i: int) -> int:
    """How many words of sentence i are looked up where they stand."""
    source = batch.source_ids[slice(*batch.source_offsets[i : i + 2])]
    decoded = model.decode(Sorted.of(batch_of([(source, source[-2::-1].copy())])), return_weights=True)
    assert decoded.weights is not None
    weights = decoded.weights.numpy().reshape(-1, len(source))
    assert set(np.unique(weights)) == {0.0, 1.0}
    return int((weights[:-1].argmax(axis=1) == np.arange(len(source) - 1)[::-1]).sum())
