"""Optimizers, gradient clipping and learning-rate schedules."""

from attnkit.optim.adam import Adam, AdamW, clip_grad_norm_, clip_scale, grad_norm
from attnkit.optim.muon import Muon
from attnkit.optim.schedules import Schedule, constant, cosine, inverse_sqrt

__all__ = [
    "Adam",
    "AdamW",
    "Muon",
    "Schedule",
    "clip_grad_norm_",
    "clip_scale",
    "constant",
    "cosine",
    "grad_norm",
    "inverse_sqrt",
]
