"""The second part of the tour: train a captioner on the built-in scenes, use it, measure it, and see where it looks."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

import attnkit
from attnkit.explain import ImageMap, write_image_png, write_images_html
from attnkit.tasks.caption.captioner import Caption, Captioner
from attnkit.training import CaptionConfig, read_config, train_once
from attnkit.vision import shapes

PRESET = "shapes"
EXPECTED_EXACT, EXPECTED_POINTING = 95.0, 90.0
_SHOWN = 6
_VIEW = 240  # pixels of a picture for people


def run(folder: Path, fresh: bool) -> bool:
    """Trains in `folder`, or takes what was trained there. Returns whether the captioner is as good as it should be."""
    config = read_config(PRESET)
    assert isinstance(config, CaptionConfig)  # the preset is ours
    _title("5. A captioner of pictures")
    print("A small network learns to describe drawn scenes, from nothing, on this computer ...", flush=True)
    start = time.perf_counter()
    if train_once(config, folder, fresh=fresh):
        print(f"Trained in {time.perf_counter() - start:.0f} seconds.")
    else:
        print(f"Trained already: {folder} (--fresh trains again).")
    captioner = attnkit.load(folder, task="caption")
    scenes = shapes.scenes("test", config.data.builtin_held_out, config.data.builtin_seed)
    captions = captioner.caption([shapes.draw(scene) for scene in scenes], attention=True)
    _show_captions(scenes[:_SHOWN], captions)
    good = _measure(scenes, captions)
    _show_attention(captioner, scenes[:_SHOWN], captions, folder)
    return good


def _show_captions(scenes: Sequence[shapes.Scene], captions: Sequence[Caption]) -> None:
    _title("6. Scenes that put together what it has never seen together")
    for scene, caption in zip(scenes, captions, strict=False):
        right = scene.caption().text
        print(f"  {caption.text}" if caption.text == right else f"  {caption.text}   (expected: {right})")


def _measure(scenes: Sequence[shapes.Scene], captions: Sequence[Caption]) -> bool:
    _title(f"7. Measured on {len(scenes)} such scenes")
    pairs = zip(scenes, captions, strict=True)
    exact = 100.0 * sum(caption.text == scene.caption().text for scene, caption in pairs) / len(scenes)
    pointing = shapes.measure_pointing(scenes, captions)
    print(f"  exactly right      {exact:.1f} %")
    print(f"  pointing accuracy  {pointing.accuracy:.1f} %   (attention falls on what the word names)")
    print(f"  by chance          {pointing.chance:.1f} %")
    for name, value, expected in (("exact", exact, EXPECTED_EXACT), ("pointing", pointing.accuracy, EXPECTED_POINTING)):
        if value < expected:
            print(f"demo: expected {name} captions of at least {expected} %, got {value:.1f} %", file=sys.stderr)
    return exact >= EXPECTED_EXACT and pointing.accuracy >= EXPECTED_POINTING


def _show_attention(
    captioner: Captioner, scenes: Sequence[shapes.Scene], captions: Sequence[Caption], folder: Path
) -> None:
    _title("8. Where it looks")
    maps = []
    for number, (scene, caption) in enumerate(zip(scenes, captions, strict=False), start=1):
        assert caption.attention is not None
        square = captioner.preprocessing.fitted(Image.fromarray(shapes.draw(scene)), _VIEW)
        maps.append(ImageMap(square, caption.tokens, caption.attention, f"scene {number}", caption.text))
        square.save(folder / f"scene-{number}.png")
    page, strip = folder / "attention.html", folder / "attention.png"
    write_images_html(page, maps)
    write_image_png(strip, maps[0])
    print(f"  A page to point at: {page}\n  and a picture:      {strip}")
    print(f"\nNow yours:  attnkit caption {folder} {folder / 'scene-1.png'} --attention where.html")


def _title(text: str) -> None:
    print(f"\n{text}", flush=True)
