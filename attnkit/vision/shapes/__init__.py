"""The built-in captioned images: coloured shapes in spatial relations, with the true region of every content word."""

from attnkit.vision.shapes.dataset import data, scenes
from attnkit.vision.shapes.drawing import coverage, draw
from attnkit.vision.shapes.pointing import Pointing, measure_pointing, touched
from attnkit.vision.shapes.scene import NOVEL, Caption, Scene, Split, Thing, sample, split_of

__all__ = [
    "NOVEL",
    "Caption",
    "Pointing",
    "Scene",
    "Split",
    "Thing",
    "coverage",
    "data",
    "draw",
    "measure_pointing",
    "sample",
    "scenes",
    "split_of",
    "touched",
]
