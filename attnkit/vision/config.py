"""[data] of the tasks that read images."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from attnkit.vision.data import ImageData

# All are drawn before the first step: 2^63 of them for ever.
Drawn = Annotated[int, Meta(ge=1, le=1_000_000)]
Split = Literal["train", "validation", "test"]


class ImageDataConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where images come from, with their classes or captions: files, or the scenes that are built in."""

    builtin: Annotated[
        Literal["shapes", "digits"] | None,
        Meta(
            description='Built-in images instead of files. "shapes": scenes of coloured shapes, with captions; '
            '"digits": a digit among pieces of others, grey and of 48 x 48 pixels, with its class.'
        ),
    ] = None

    builtin_train: Annotated[Drawn, Meta(description="Built-in training images to draw.")] = 6000

    builtin_held_out: Annotated[
        Drawn,
        Meta(
            description="Built-in validation images, and as many test images. Test scenes of shapes put together what "
            "training scenes do not."
        ),
    ] = 500

    builtin_seed: Annotated[int, Meta(ge=0, description="The draw.")] = 1

    format: Annotated[
        Literal["folder", "list", "idx"],
        Meta(
            description='"folder": a folder of images for each class; "list": a CSV file (.csv, .txt) or JSON lines '
            'that name images with captions or labels; "idx": two files of MNIST\'s format, images and '
            'labels. ".gz" works for lists and idx.'
        ),
    ] = "folder"

    root: Annotated[
        str, Meta(description="Relative paths below are taken from this folder; none: the current directory.")
    ] = ""

    train: Annotated[
        tuple[str, ...], Meta(description='Training data: one folder or file, or for "idx" [images, labels].')
    ] = ()

    validation: Annotated[
        tuple[str, ...], Meta(description="Validation data, in the same format; none: those of validation_share.")
    ] = ()

    validation_share: Annotated[
        float,
        Meta(
            ge=0.0,
            lt=1.0,
            description="This share of the training images, drawn by training.seed, is held out for validation.",
        ),
    ] = 0.0

    test: Annotated[tuple[str, ...], Meta(description="Test data, evaluated once at the end; none: no test.")] = ()

    images: Annotated[str, Meta(description="The folder of the images that a list names; none: the list's own.")] = ""

    outside_images: Annotated[
        bool,
        Meta(
            description="A list may name images outside that folder, by an absolute path or by .., and so any file "
            "that you can read: for lists that you trust."
        ),
    ] = False

    image_key: Annotated[str, Meta(description="What a list calls the image's file name.")] = "image"

    caption_key: Annotated[str, Meta(description="What a list calls the caption.")] = "caption"

    label_key: Annotated[str, Meta(description="What a list calls the label.")] = "label"

    classes: Annotated[tuple[str, ...], Meta(description='Names for the labels 0, 1, 2, ... of the format "idx".')] = ()

    def __post_init__(self) -> None:
        splits = {"train": self.train, "validation": self.validation, "test": self.test}
        if self.validation_share and (self.validation or self.builtin):
            raise ValueError("validation_share: expected 0 beside other validation data")
        if self.builtin:
            if named := [split for split, files in splits.items() if files]:
                raise ValueError(f"{named[0]}: expected no files beside builtin = {self.builtin!r}")
            return
        if not self.train:
            raise ValueError('train: expected files, or builtin = "shapes"')
        need = 2 if self.format == "idx" else 1
        for split, files in splits.items():
            if files and len(files) != need:
                raise ValueError(f"{split}: expected {need} path(s) for format {self.format!r}, got {len(files)}")
        if self.classes and self.format != "idx":
            raise ValueError(f"classes: expected none for format {self.format!r}, whose labels are names")

    @property
    def validated(self) -> bool:
        """Whether there is validation data."""
        return bool(self.builtin or self.validation or self.validation_share)

    def read(self, split: Split) -> ImageData | None:
        """One split as its files have it; None when it is not configured. Raises OSError or ValueError."""
        if self.builtin:
            from attnkit.vision import digits, shapes

            count = self.builtin_train if split == "train" else self.builtin_held_out
            if self.builtin == "digits":
                return digits.data(split, count, self.builtin_seed)
            return shapes.data(split, count, self.builtin_seed)
        files = {"train": self.train, "validation": self.validation, "test": self.test}[split]
        if not files:
            return None
        paths = [Path(self.root, file) for file in files]
        if self.format == "folder":
            from attnkit.vision.folders import read_folder

            return read_folder(paths[0])
        if self.format == "list":
            from attnkit.vision.lists import Keys, read_list

            images = Path(self.root, self.images) if self.images else paths[0].parent
            keys = Keys(self.image_key, self.caption_key, self.label_key)
            return read_list(paths[0], images, keys, self.outside_images)
        from attnkit.vision.idx import read_idx_pair

        return read_idx_pair(paths[0], paths[1], self.classes)

    def read_training(self, seed: int) -> tuple[ImageData, ImageData | None]:
        """The training and the validation data; raises as `read` does."""
        train = self.read("train")
        assert train is not None  # the configuration demands it
        if self.validation_share and len(train) > 1:
            return train.hold_out(self.validation_share, seed)
        return train, self.read("validation")
