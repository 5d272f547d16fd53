"""The built-in captioned images: coloured shapes in spatial relations, with the true region of every content word."""

from attnkit.vision.shapes.dataset import data, scenes
from attnkit.vision.shapes.drawing import coverage, draw
from attnkit.vision.shapes.pointing import Pointing, measure_pointing
from attnkit.vision.shapes.scene import HELD_OUT, Caption, Scene, Split, Thing, sample

__all__ = [
    "HELD_OUT",
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
]
