"""Optimizers, gradient clipping and learning-rate schedules."""

from attnkit.optim.adam import Adam, AdamW, clip_grad_norm_, clip_scale, grad_norm

__all__ = ["Adam", "AdamW", "clip_grad_norm_", "clip_scale", "grad_norm"]
