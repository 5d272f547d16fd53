"""Our layers' weights in PyTorch's layers, so that the two can be compared."""

from __future__ import annotations

from typing import Any

import numpy as np

from attnkit import nn


def randomise(module: nn.Module, seed: int = 0, deviation: float = 0.2) -> None:
    """Random numbers for every parameter, biases and norms too, which start as zeros and ones."""
    generator = np.random.default_rng(seed)
    for name, parameter in module.named_parameters():
        values = generator.standard_normal(parameter.shape) * deviation
        parameter.copy_((values + (1.0 if "norm.weight" in name else 0.0)).astype(np.float32))


def torch_activation(name: str) -> Any:
    """PyTorch's function of an activation's name here."""
    import torch

    if name == "gelu_tanh":
        return lambda x: torch.nn.functional.gelu(x, approximate="tanh")
    if name == "quick_gelu":
        return lambda x: x * torch.sigmoid(1.702 * x)
    return getattr(torch.nn.functional, name)


def _set(target: Any, *parts: Any) -> None:
    import torch

    with torch.no_grad():
        target.copy_(torch.cat([torch.tensor(np.asarray(part)) for part in parts]))


def _copy_linear(ours: nn.Linear, theirs: Any) -> None:
    _set(theirs.weight, ours.weight)
    if ours.bias is not None:
        _set(theirs.bias, ours.bias)


def copy_attention(ours: nn.SelfAttention | nn.CrossAttention, theirs: Any) -> None:
    """Into a torch.nn.MultiheadAttention."""
    parts = (ours.query, ours.key_value) if isinstance(ours, nn.CrossAttention) else (ours.projection,)
    _set(theirs.in_proj_weight, *(part.weight for part in parts))
    if ours.output.bias is not None:
        _set(theirs.in_proj_bias, *(part.bias for part in parts))
    _copy_linear(ours.output, theirs.out_proj)


def _copy_feed_forward(ours: nn.FeedForward, theirs: Any) -> None:
    parts = [ours.up] if ours.gate is None else [ours.gate, ours.up]
    _set(theirs.linear1.weight, *(part.weight for part in parts))
    _set(theirs.linear1.bias, *(part.bias for part in parts))
    _copy_linear(ours.down, theirs.linear2)


def copy_norm(ours: nn.LayerNorm | nn.RMSNorm, theirs: Any) -> None:
    _set(theirs.weight, ours.weight)
    if ours.bias is not None:
        _set(theirs.bias, ours.bias)


def torch_norm(kind: str, size: int, eps: float) -> Any:
    import torch

    return torch.nn.LayerNorm(size, eps) if kind == "layer" else torch.nn.RMSNorm(size, eps)


def torch_layer(
    side: str,
    d_model: int,
    heads: int,
    ffn: int,
    norm: str = "post",
    activation: str = "relu",
    norm_kind: str = "layer",
    norm_eps: float = 1e-5,
    gated: bool = False,
) -> Any:
    """PyTorch's "Encoder" or "Decoder" layer with dropout 0 and our options; those that it does not have are put in.

    A gate stands on top of what it multiplies, in one linear layer.
    """
    import torch

    function = torch_activation(activation)
    layer = getattr(torch.nn, f"Transformer{side}Layer")(
        d_model, heads, 2 * ffn if gated else ffn, 0.0, function, batch_first=True, norm_first=norm == "pre"
    )
    if gated:
        layer.linear2 = torch.nn.Linear(ffn, d_model)
        layer.activation = lambda x: function(x[..., :ffn]) * x[..., ffn:]
    for name in ("norm1", "norm2", "norm3")[: 2 if side == "Encoder" else 3]:
        setattr(layer, name, torch_norm(norm_kind, d_model, norm_eps))
    return layer


def copy_encoder_layer(ours: nn.TransformerEncoderLayer, theirs: Any) -> None:
    """Into a torch.nn.TransformerEncoderLayer."""
    copy_attention(ours.attention, theirs.self_attn)
    copy_norm(ours.attention_norm, theirs.norm1)
    _copy_feed_forward(ours.feed_forward, theirs)
    copy_norm(ours.feed_forward_norm, theirs.norm2)


def copy_decoder_layer(ours: nn.TransformerDecoderLayer, theirs: Any) -> None:
    """Into a torch.nn.TransformerDecoderLayer."""
    copy_attention(ours.self_attention, theirs.self_attn)
    copy_norm(ours.self_attention_norm, theirs.norm1)
    copy_attention(ours.cross_attention, theirs.multihead_attn)
    copy_norm(ours.cross_attention_norm, theirs.norm2)
    _copy_feed_forward(ours.feed_forward, theirs)
    copy_norm(ours.feed_forward_norm, theirs.norm3)


def gradients_by_our_names(ours: nn.Module, copy: Any, theirs: Any) -> dict[str, np.ndarray]:
    """The gradients of `theirs`, laid out as the parameters of `ours`.

    Each of our parameters is marked with numbers that tell its elements apart, `copy` carries the marks over, and the
    gradients are read where they arrived.
    """
    values = ours.state_dict()
    found = {name: np.zeros(array.shape, np.float64) for name, array in values.items()}
    gradients = [(p, p.grad.detach().numpy().astype(np.float64)) for p in theirs.parameters() if p.grad is not None]
    begin = 1
    spans = {}
    for name, parameter in ours.named_parameters():
        parameter.copy_((np.arange(parameter.size) + begin).reshape(parameter.shape).astype(np.float32))
        spans[name] = (begin, begin + parameter.size)
        begin += parameter.size
    assert begin < 1 << 24, "the marks must be whole numbers in float32"
    copy(ours, theirs)
    for place, gradient in gradients:
        marks = place.detach().numpy().astype(np.int64)
        for name, (first, last) in spans.items():
            inside = (marks >= first) & (marks < last)
            found[name].reshape(-1)[marks[inside] - first] += gradient[inside]
    ours.load_state_dict(values)
    copy(ours, theirs)
    return found


def transformer_twin(ours: Any) -> Any:
    """A padded PyTorch model like our Transformer, with dropout 0: embeddings around torch.nn.Transformer."""
    import torch

    config = ours.config
    source_size, target_size = ours.source_embedding.weight.shape[0], ours.vocabulary_size

    class Twin(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            names = ("norm", "activation", "norm_kind", "norm_eps", "gated")
            options = {name: getattr(config, name) for name in names}
            # torch.nn.Transformer ends each stack with a norm; the post-norm model of the paper has none there.
            last = config.norm_kind, config.d_model, config.norm_eps
            norms = [torch_norm(*last) if config.norm == "pre" else None for _ in range(2)]
            encoder_layer = torch_layer("Encoder", config.d_model, config.heads, config.ffn, **options)
            decoder_layer = torch_layer("Decoder", config.d_model, config.heads, config.ffn, **options)
            self.transformer = torch.nn.Transformer(
                config.d_model,
                config.heads,
                custom_encoder=torch.nn.TransformerEncoder(
                    encoder_layer, config.encoder_layers, norms[0], enable_nested_tensor=False
                ),
                custom_decoder=torch.nn.TransformerDecoder(decoder_layer, config.decoder_layers, norms[1]),
                batch_first=True,
            )
            self.source = torch.nn.Embedding(source_size, config.d_model)
            self.target = torch.nn.Embedding(target_size, config.d_model)
            self.output = torch.nn.Linear(config.d_model, target_size, bias=config.tie_embeddings == "none")
            if config.tie_embeddings != "none":
                self.output.weight = self.target.weight
            if config.tie_embeddings == "all":
                self.source.weight = self.target.weight
            if config.positions == "learned":
                rows = config.position_offset + config.max_length
                self.source_positions = torch.nn.Parameter(torch.zeros(rows, config.d_model))
                self.target_positions = torch.nn.Parameter(torch.zeros(rows, config.d_model))
            else:
                layout = config.positions == "sinusoidal-halves", config.position_spacing
                rows = config.position_offset + config.max_length
                table = torch.tensor(nn.sinusoids(rows, config.d_model, *layout))
                self.register_buffer("source_positions", table)
                self.register_buffer("target_positions", table)
            kinds = [torch_norm(*last) if config.embedding_norm else torch.nn.Identity() for _ in range(2)]
            self.source_norm, self.target_norm = kinds

        def forward(self, source: Any, source_padding: Any, target: Any, target_padding: Any) -> Any:
            scale, first = config.d_model**0.5 if config.scale_embeddings else 1.0, config.position_offset
            x = self.source_norm(self.source(source) * scale + self.source_positions[first:][: source.shape[1]])
            y = self.target_norm(self.target(target) * scale + self.target_positions[first:][: target.shape[1]])
            causal = torch.ones(target.shape[1], target.shape[1], dtype=torch.bool).triu(1)
            hidden = self.transformer(
                x,
                y,
                tgt_mask=causal,
                src_key_padding_mask=source_padding,
                tgt_key_padding_mask=target_padding,
                memory_key_padding_mask=source_padding,
            )
            return self.output(hidden)

    return Twin()


def copy_transformer(ours: Any, theirs: Any) -> None:
    """The weights of our Transformer into its twin."""
    for stack, other, copy_layer in (
        (ours.encoder, theirs.transformer.encoder, copy_encoder_layer),
        (ours.decoder, theirs.transformer.decoder, copy_decoder_layer),
    ):
        for layer, other_layer in zip(stack.layers, other.layers, strict=True):
            copy_layer(layer, other_layer)
        if stack.last_norm is not None:
            copy_norm(stack.last_norm, other.norm)
    _set(theirs.source.weight, ours.source_embedding.weight)
    _set(theirs.target.weight, ours.target_embedding.weight)
    if ours.config.embedding_norm:
        copy_norm(ours.source_embedding.norm, theirs.source_norm)
        copy_norm(ours.target_embedding.norm, theirs.target_norm)
    if ours.config.positions == "learned":
        _set(theirs.source_positions, ours.source_embedding.positions.weight)
        _set(theirs.target_positions, ours.target_embedding.positions.weight)
    if ours.generator is not None:
        _copy_linear(ours.generator, theirs.output)
