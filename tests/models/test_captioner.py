"""The captioner: every encoder with every decoder, held to PyTorch, to finite differences and to itself step by
step."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from closeness import assert_close
from pytorch_twin import randomise
from training_images import CNN, LSTM, TRANSFORMER, VIT, caption_task

import attnkit
from attnkit import optim
from attnkit.decoding import DecodingOptions, decode
from attnkit.models import CaptionerConfig, CNNConfig, ViTConfig, build_model, load_model, save_model
from attnkit.models.captioner import Captioner
from attnkit.models.captioner_config import LSTMDecoderConfig, TransformerDecoderConfig
from attnkit.vision import CaptionBatch

VOCABULARY = 12
ENCODERS = {
    "cnn": CNNConfig(widths=(6, 10), blocks=1),
    "vit": ViTConfig(image_size=12, patch_size=4, d_model=12, layers=1, heads=2, ffn=16),
}
DECODERS = {
    "none": LSTMDecoderConfig(attention="none", width=10, hidden=14),
    "soft": LSTMDecoderConfig(width=10, hidden=14),
    "hard": LSTMDecoderConfig(attention="hard", soft_batches=0, width=10, hidden=14),
    "transformer": TransformerDecoderConfig(width=12, heads=2, ffn=16, max_length=16),
    "gated": TransformerDecoderConfig(
        width=12, heads=2, ffn=16, max_length=16, activation="quick_gelu", norm_kind="rms", norm_eps=0.01, gated=True
    ),
}
PAIRS = [(encoder, decoder) for encoder in ENCODERS for decoder in DECODERS]


def make(encoder: str, decoder: str, seed: int = 3, **options: Any) -> Captioner:
    import msgspec

    model = build_model(
        CaptionerConfig(encoder=ENCODERS[encoder], decoder=msgspec.structs.replace(DECODERS[decoder], **options)),
        VOCABULARY,
    )
    randomise(model, seed)
    return model


def make_batch(lengths: tuple[int, ...] = (4, 2, 6), seed: int = 0) -> CaptionBatch:
    draw = np.random.default_rng(seed)
    offsets = np.cumsum([0, *lengths]).astype(np.int32)
    total = int(offsets[-1])
    images = draw.standard_normal((len(lengths), 12, 12, 3)).astype(np.float32)
    ids, labels = draw.integers(4, VOCABULARY, (2, total)).astype(np.int32)
    return CaptionBatch(images, ids, labels, offsets, np.arange(len(lengths), dtype=np.int32), total)


def part(batch: CaptionBatch, index: int) -> CaptionBatch:
    """One image and its caption."""
    begin, end = batch.target_offsets[index : index + 2]
    offsets = np.array([0, end - begin], np.int32)
    ids, labels = batch.target_input_ids[begin:end], batch.target_labels[begin:end]
    return CaptionBatch(batch.images[index : index + 1], ids, labels, offsets, batch.indices[:1], int(end - begin))


def log_softmax(logits: np.ndarray) -> np.ndarray:
    shifted = logits - logits.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))


# ----- One definition: training, decoding, any batch


@pytest.mark.parametrize(("encoder", "decoder"), PAIRS)
def test_word_by_word_is_the_whole_caption(encoder: str, decoder: str) -> None:
    model, batch = make(encoder, decoder).eval(), make_batch()
    expected = log_softmax(model(batch).numpy())
    regions = model.encode(batch.images)
    state, before = model.start(regions), [0, 1, 2]
    lengths = np.diff(batch.target_offsets)
    for step in range(int(lengths.max())):
        active = [index for index in range(3) if lengths[index] > step]
        state.select(np.array([before.index(index) for index in active], np.int32))
        rows = batch.target_offsets[active] + step
        output = model.step(state, batch.target_input_ids[rows], attention=True)
        assert_close(output.log_probs, expected[rows], terms=400)
        assert state.rows == len(active)
        if model.attends:
            assert output.attention is not None and output.attention.shape == (len(active), np.prod(regions.grid))
            assert_close(output.attention.sum(axis=1), np.ones(len(active)), terms=100)
        else:
            assert output.attention is None
        before = active


@pytest.mark.parametrize(("encoder", "decoder"), PAIRS)
def test_a_caption_does_not_depend_on_its_batch(encoder: str, decoder: str) -> None:
    model, batch = make(encoder, decoder).eval(), make_batch()
    whole = model(batch).numpy()
    alone = np.concatenate([model(part(batch, index)).numpy() for index in range(3)])
    assert np.array_equal(whole, alone)


@pytest.mark.parametrize(("encoder", "decoder"), PAIRS)
def test_beam_search_is_the_same_in_any_batch_and_with_attention(encoder: str, decoder: str) -> None:
    model, batch = make(encoder, decoder).eval(), make_batch()

    def search(images: np.ndarray, attention: bool) -> list[Any]:
        options = DecodingOptions(beam=3, nbest=2, max_length=6)
        return decode(model, model.encode(images), options, attention=attention)

    together = search(batch.images, model.attends)
    for index in range(3):
        (alone,) = search(batch.images[index : index + 1], False)
        assert [each.tokens.tolist() for each in alone] == [each.tokens.tolist() for each in together[index]]
        assert [each.score for each in alone] == [each.score for each in together[index]]
        for each in together[index] if model.attends else ():
            assert each.attention.shape == (len(each.tokens), 36 if encoder == "cnn" else 9)


@pytest.mark.parametrize("decoder", ["soft", "hard"])
def test_the_same_bytes_for_any_number_of_threads(decoder: str) -> None:
    results = []
    for count in (1, 2):
        before = attnkit.get_num_threads()
        attnkit.set_num_threads(count)
        attnkit.manual_seed(5)
        model = make("cnn", decoder, dropout=0.2, word_dropout=0.2)
        model.loss(make_batch()).loss.backward()
        results.append([p.grad.numpy().tobytes() for p in model.parameters() if p.grad is not None])
        attnkit.set_num_threads(before)
    assert results[0] == results[1]


# ----- Gradients


@pytest.mark.parametrize(("encoder", "decoder"), [pair for pair in PAIRS if pair[1] != "hard"])
def test_gradient_against_finite_differences(encoder: str, decoder: str) -> None:
    options = {"coverage_penalty": 0.3, "dropout": 0.0} if decoder == "soft" else {"dropout": 0.0}
    model, batch = make(encoder, decoder, **options), make_batch()
    parameters = list(model.parameters())
    model.loss(batch, 0.1).loss.backward()
    gradients = [parameter.grad.numpy().astype(np.float64) for parameter in parameters]
    draw = np.random.default_rng(7)
    start = [parameter.numpy().copy() for parameter in parameters]
    # Along the gradient, where the slope is its norm, and half of another direction, where the sign may differ.
    norm = np.sqrt(sum(np.square(gradient).sum() for gradient in gradients))
    direction = [g / norm + 0.5 * draw.standard_normal(g.shape) / np.sqrt(g.size * len(gradients)) for g in gradients]
    slope = sum(float((g * d).sum()) for g, d in zip(gradients, direction, strict=True))

    def loss_at(step: float) -> float:
        for parameter, values, along in zip(parameters, start, direction, strict=True):
            parameter.copy_((values + step * along).astype(np.float32))
        return model.loss(batch, 0.1).loss.item()

    size = 3e-3
    measured = (8 * (loss_at(size) - loss_at(-size)) - (loss_at(2 * size) - loss_at(-2 * size))) / (12 * size)
    assert measured == pytest.approx(slope, rel=0.01)


def test_show_attend_and_tell_is_pytorchs() -> None:
    """One training step on the same weights: the loss and every gradient of the decoder, from given features."""
    torch = pytest.importorskip("torch")
    model, batch = make("vit", "soft", dropout=0.0, coverage_penalty=0.7), make_batch()
    regions = model.encode(batch.images)
    memory = regions.memory.detach()
    memory.requires_grad = True
    decoder = model.decoder
    decoded = decoder(memory, regions.offsets, batch.target_input_ids, batch.target_offsets)
    from attnkit import _core

    loss, _, tokens = _core.linear_cross_entropy(
        decoded.hidden, model.output.weight, model.output.bias, batch.target_labels, 0.0, -100
    )
    loss = loss + decoded.penalty * (1.0 / tokens)
    loss.backward()

    names = {f"decoder.{name}": parameter for name, parameter in decoder.named_parameters()}
    names |= {f"output.{name}": parameter for name, parameter in model.output.named_parameters()}
    w = {n: torch.tensor(p.numpy(), dtype=torch.float64, requires_grad=True) for n, p in names.items()}
    seen = torch.tensor(memory.numpy(), dtype=torch.float64, requires_grad=True)

    def linear(x: Any, name: str) -> Any:
        return torch.nn.functional.linear(x, w[f"{name}.weight"], w.get(f"{name}.bias"))

    total, hidden = torch.zeros((), dtype=torch.float64), 14
    for index in range(3):
        a = seen[9 * index : 9 * index + 9]
        h, c = torch.tanh(linear(a.mean(0), "decoder.first_state")).split(hidden)
        covered = torch.zeros(9, dtype=torch.float64)
        for place in range(*batch.target_offsets[index : index + 2]):
            e = w["decoder.embedding.weight"][int(batch.target_input_ids[place])]
            s = torch.tanh(linear(h, "decoder.attention.score.query") + linear(a, "decoder.attention.score.key"))
            alpha = torch.softmax(s @ w["decoder.attention.score.v"], 0)
            z = alpha @ a * torch.sigmoid(linear(h, "decoder.gate"))
            gates = (
                e @ w["decoder.cell.weights.input_weight"].T + w["decoder.cell.weights.input_bias"]
                + h @ w["decoder.cell.weights.hidden_weight"].T + w["decoder.cell.weights.hidden_bias"]
                + linear(z, "decoder.context_gates")
            )  # fmt: skip
            i, f, g, o = gates.split(hidden)
            c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
            h = torch.sigmoid(o) * torch.tanh(c)
            logits = linear(e + linear(h, "decoder.hidden") + linear(z, "decoder.context"), "output")
            total = total - torch.log_softmax(logits, 0)[int(batch.target_labels[place])]
            covered = covered + alpha
        total = total + 0.7 * ((1 - covered) ** 2).sum()
    expected = total / tokens
    expected.backward()
    assert_close(loss.item(), expected.item(), terms=100)
    for name, parameter in names.items():
        assert_close(parameter.grad, w[name].grad.numpy(), terms=400)
    assert_close(memory.grad, seen.grad.numpy(), terms=400)


def test_hard_attention_learns_by_its_rewards() -> None:
    """Nothing reaches the scores but through the rewards, and the running mean of those moves."""
    gradients = {}
    for baseline, bonus in ((-3.0, 0.0), (-5.0, 0.0), (-3.0, 1.0)):
        model, batch = make("vit", "hard", dropout=0.0, entropy_bonus=bonus, baseline="mean"), make_batch()
        assert model.reinforce is not None
        model.reinforce.baseline.copy_(np.array([baseline], np.float32))
        attnkit.manual_seed(11)  # the same choices each time
        output = model.loss(batch)
        assert output.loss.item() == pytest.approx(output.nll_sum / output.tokens, rel=1e-5)
        output.loss.backward()
        gradients[baseline, bonus] = model.decoder.attention.score.v.grad.numpy().tobytes()
        assert model.reinforce.baseline.grad is None
        moved = 0.9 * baseline - 0.1 * output.nll_sum / output.tokens
        assert model.reinforce.baseline.item() == pytest.approx(moved, rel=1e-4)
    assert len(set(gradients.values())) == 3
    model.reinforce = None
    model.zero_grad()
    model.loss(batch).loss.backward()
    unreached = model.decoder.attention.score.v.grad
    assert unreached is None or not unreached.numpy().any()


def test_hard_attention_is_soft_first_and_then_measured_by_it() -> None:
    model, batch = make("cnn", "hard", dropout=0.0, soft_batches=1), make_batch()
    soft = make("cnn", "soft", dropout=0.0)
    soft.load_state_dict({name: x for name, x in model.state_dict().items() if not name.startswith("reinforce.")})
    assert model.stage == "soft attention"
    first = model.loss(batch)
    assert first.loss.item() == soft.loss(batch).loss.item() and model.stage == ""
    assert model.reinforce is not None
    model.reinforce.baseline.copy_(np.zeros(1, np.float32))
    output = model.loss(batch)
    assert output.nll_sum != first.nll_sum
    gain = (first.nll_sum - output.nll_sum) / output.tokens
    assert model.reinforce.baseline.item() == pytest.approx(0.1 * gain, rel=1e-3)
    model.load_state_dict({name: x for name, x in model.state_dict().items() if name != "reinforce.count"})
    assert model.stage == ""


def test_hard_attention_is_one_region_and_sampled_in_training_only() -> None:
    model, batch = make("vit", "hard", dropout=0.0), make_batch()
    samples = {model(batch).numpy().tobytes() for _ in range(4)}
    assert len(samples) > 1
    model.eval()
    assert len({model(batch).numpy().tobytes() for _ in range(2)}) == 1
    weights = model.decode(batch).weights
    assert weights is not None and set(np.unique(np.concatenate([each.numpy() for each in weights]))) == {0.0, 1.0}


# ----- Options


@pytest.mark.parametrize(
    ("decoder", "option"),
    [
        ("soft", {"coverage_penalty": 1.0}),
        ("soft", {"word_dropout": 0.5}),
        ("soft", {"dropout": 0.5}),
        ("transformer", {"word_dropout": 0.5}),
        ("transformer", {"dropout": 0.5}),
        ("transformer", {"attention_dropout": 0.5}),
    ],
)
def test_options_change_training_and_nothing_else(decoder: str, option: dict[str, float]) -> None:
    batch = make_batch()
    plain, other = make("vit", decoder, dropout=0.0), make("vit", decoder, **{"dropout": 0.0, **option})
    assert plain.loss(batch).loss.item() != other.loss(batch).loss.item()
    assert plain.eval().loss(batch).loss.item() == other.eval().loss(batch).loss.item()


def test_a_frozen_encoder_stays_as_it_is() -> None:
    model, batch = make("cnn", "soft"), make_batch()
    before = model.encoder.state_dict()
    optimizer = optim.AdamW(list(model.parameters()), lr=0.01, weight_decay=0.1)
    model.freeze_encoder()
    model.loss(batch).loss.backward()
    optimizer.step()
    assert all(np.array_equal(array, before[name]) for name, array in model.encoder.state_dict().items())
    assert not model.train().encoder.training and model.decoder.training
    thawed = make("cnn", "soft")
    thawed.loss(batch).loss.backward()
    assert all(parameter.grad is not None for parameter in thawed.encoder.parameters())


def test_models_are_saved_and_loaded(tmp_path: Path) -> None:
    for encoder, decoder in PAIRS:
        model, batch = make(encoder, decoder).eval(), make_batch()
        save_model(model, tmp_path / f"{encoder}-{decoder}")
        assert np.array_equal(load_model(tmp_path / f"{encoder}-{decoder}")(batch).numpy(), model(batch).numpy())


# ----- Learning


@pytest.mark.parametrize(
    ("encoder", "decoder"),
    [
        (CNN, LSTM),
        (CNN, f'{LSTM}\nattention = "none"'),
        (CNN, f'{LSTM}\nattention = "hard"'),
        (VIT, LSTM),
        (VIT, TRANSFORMER),
        (CNN, TRANSFORMER),
    ],
    ids=["cnn soft", "cnn none", "cnn hard", "vit soft", "vit transformer", "cnn transformer"],
)
def test_a_tiny_task_is_learnt(tmp_path: Path, encoder: str, decoder: str) -> None:
    from attnkit.training import read_config, train

    # Choices that are tried at random take longer to learn.
    steps = ["training.max_steps=300", "model.decoder.soft_batches=100"] if "hard" in decoder else []
    config = read_config(caption_task(tmp_path, encoder, decoder), steps)
    outcome = train(config, tmp_path / "run", progress="none")
    assert outcome.figures["final_bleu1"] >= 95.0, outcome.figures
    captioner = attnkit.load(tmp_path / "run")
    picture = tmp_path / "pictures" / "red" / "red-blue.png"
    (result,) = captioner.caption([picture], attention=True)
    assert result.text == "red beside blue" and result.tokens == ["red", "beside", "blue"] and not result.truncated
    if captioner.model.attends:
        assert result.attention.shape == (3, 2, 2)
        np.testing.assert_allclose(result.attention.sum(axis=(1, 2)), 1.0, rtol=1e-5)
    else:
        assert result.attention is None
