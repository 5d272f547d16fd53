"""Image data: folders, lists, IDX files, the built-in scenes, and the loader that makes batches of them."""

from __future__ import annotations

import dataclasses
import gzip
import json
import struct
import threading
import tomllib
from pathlib import Path

import msgspec
import numpy as np
import pytest
from pictures import gradient
from PIL import Image

from attnkit.vision import (
    AugmentationConfig,
    Captions,
    Classes,
    ImageData,
    ImageDataConfig,
    ImageFiles,
    ImageLoader,
    PixelArray,
    Preprocessing,
    Targets,
)
from attnkit.vision.folders import images_below, read_folder
from attnkit.vision.idx import read_idx, read_idx_pair
from attnkit.vision.lists import Keys, read_list

# ----- Folders


def test_a_folder_for_each_class(tmp_path: Path) -> None:
    for name in ("dog/b.png", "dog/deep/a.JPG", "cat/c.png", ".hidden/d.png", "dog/.e.png", "dog/notes.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        gradient().save(tmp_path / name, "PNG")
    data = read_folder(tmp_path)
    assert data.labels == ["cat", "dog", "dog"] and data.classes() == ("cat", "dog")
    assert [Path(data.pictures.name(i)).name for i in range(3)] == ["c.png", "b.png", "a.JPG"]
    assert data.numbered(["cat", "dog"], "train").tolist() == [0, 1, 1]
    with pytest.raises(ValueError, match=r"data\.test, got 'dog' for .*b\.png"):
        data.numbered(["cat"], "test")
    assert len(images_below(tmp_path)) == 3


def test_folders_without_images(tmp_path: Path) -> None:
    (tmp_path / "cat").mkdir()
    with pytest.raises(ValueError, match="got no image in any"):
        read_folder(tmp_path)
    with pytest.raises(FileNotFoundError):
        read_folder(tmp_path / "none")


# ----- Lists


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for name in ("a.png", "b.png"):
        gradient().save(tmp_path / name)
    return tmp_path


def written(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    return path


def test_csv_and_json_lines(photos: Path) -> None:
    csv = 'image,caption\na.png,"a dog , running"\nb.png,a  cat \na.png,a dog\n'
    data = read_list(written(photos, "captions.txt", csv), photos, Keys())
    assert data.captions == [("a dog , running", "a dog"), ("a cat",)] and data.labels is None
    lines = [{"file": "b.png", "text": ["a cat", "cat"], "kind": 3}, {"file": "a.png", "text": "a dog", "kind": "dog"}]
    jsonl = "".join(json.dumps(line) + "\n\n" for line in lines)  # blank lines are nothing, as in every other file
    data = read_list(written(photos, "list.jsonl.gz", jsonl), photos, Keys("file", "text", "kind"))
    assert data.captions == [("a cat", "cat"), ("a dog",)] and data.labels == ["3", "dog"]
    assert data.pictures.get(0, 1, 0).mode == "L"
    assert data.describe() == "2 images, 2 classes, 3 captions"


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.csv", "", "expected images, got none"),
        ("a.csv", "image,caption\na.png\n", r"a\.csv, row 2: expected as many values"),
        ("a.csv", "image,caption\na.png,b,c\n", r"row 2: expected as many values"),
        ("a.csv", "picture,caption\na.png,b\n", "expected the key 'image', got 'picture', 'caption'"),
        ("a.csv", 'image,caption\na.png,"b\n', "expected CSV"),
        ("a.csv", "image,caption\na.png,\n", "expected a caption or a list of them under 'caption', got ''"),
        ("a.csv", "image,caption\nc.png,b\n", r"c\.png cannot be found"),
        ("a.jsonl", "{\n", r"a\.jsonl, line 1: expected a JSON object: "),
        ("a.jsonl", "[]\n", r"a\.jsonl, line 1: expected a JSON object, got list"),
        ("a.jsonl", '{"image": "a.png", "caption": 3}\n', "expected a caption or a list"),
        ("a.jsonl", '{"image": "a.png", "caption": []}\n', "expected a caption or a list"),
        ("a.jsonl", '{"image": null}\n', "expected text under 'image', got None"),
        (
            "a.jsonl",
            '{"image": "a.png", "caption": "x"}\n{"image": "b.png"}\n',
            r"expected a caption for each image or for none, got none for b\.png",
        ),
        (
            "a.jsonl",
            '{"image": "a.png", "label": "x"}\n{"image": "a.png", "label": "y"}\n',
            "line 2: expected one label an image, got 'x' and 'y'",
        ),
    ],
)
def test_lists_that_are_none(photos: Path, name: str, text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_list(written(photos, name, text), photos, Keys())


@pytest.mark.parametrize("name", ["../secret.png", "x/../../secret.png", "/etc/passwd", "{outside}/secret.png"])
def test_a_list_names_images_in_its_folder_alone(tmp_path: Path, name: str) -> None:
    (tmp_path / "photos").mkdir()
    gradient().save(tmp_path / "secret.png")
    listed = written(tmp_path / "photos", "a.jsonl", json.dumps({"image": name.format(outside=tmp_path)}) + "\n")
    with pytest.raises(
        ValueError, match=r"line 1: expected images in the folder .*photos, .*data\.outside_images = true"
    ):
        read_list(listed, tmp_path / "photos", Keys())


def test_a_list_may_name_images_elsewhere_if_it_is_trusted(tmp_path: Path, photos: Path) -> None:
    (tmp_path / "lists").mkdir()
    text = "".join(json.dumps({"image": name, "label": "x"}) + "\n" for name in ("../a.png", f"{photos}/b.png"))
    written(tmp_path / "lists", "a.jsonl", text)
    table = {"format": "list", "train": [str(tmp_path / "lists" / "a.jsonl")], "outside_images": True}
    data = msgspec.convert(table, ImageDataConfig).read("train")
    assert data is not None and len(data) == 2 and data.pictures.get(1, 3, 0).mode == "RGB"


def test_names_that_stay_in_the_folder(photos: Path) -> None:
    (photos / "sub").mkdir()
    names = [f"{photos}/a.png", "./b.png", "sub/../a.png"]
    data = read_list(
        written(photos, "a.jsonl", "".join(json.dumps({"image": n}) + "\n" for n in names)), photos, Keys()
    )
    assert [data.pictures.get(index, 3, 0).size for index in range(3)] == [(12, 8)] * 3


# ----- IDX


def idx(array: np.ndarray, kind: int = 8, cut: int = 0) -> bytes:
    data = bytes([0, 0, kind, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()
    return data[: len(data) - cut]


def test_idx_files_packed_or_not(tmp_path: Path) -> None:
    images = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4)
    labels = np.array([1, 0], np.uint8)
    (tmp_path / "images").write_bytes(idx(images))
    (tmp_path / "labels.gz").write_bytes(gzip.compress(idx(labels)))
    data = read_idx_pair(tmp_path / "images", tmp_path / "labels")
    assert data.labels == ["1", "0"] and np.array_equal(np.asarray(data.pictures.get(1, 1, 0)), images[1])
    named = read_idx_pair(tmp_path / "images", tmp_path / "labels", ("shirt", "bag"))
    assert named.labels == ["bag", "shirt"] and named.classes() == ("bag", "shirt")
    with pytest.raises(ValueError, match="expected labels under 1, got 1"):
        read_idx_pair(tmp_path / "images", tmp_path / "labels", ("shirt",))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "expected an IDX file, got something else"),
        (b"\x89PNG", "expected an IDX file"),
        (idx(np.zeros((2, 2), np.uint8)), "expected 1-dimensional unsigned bytes, got 2 dimension"),
        (idx(np.zeros(2, np.uint8), kind=13), "of type 0x0d"),
        (idx(np.zeros(5, np.uint8), cut=2), "expected 5 bytes behind the header, got 3"),
        (idx(np.zeros(5, np.uint8)) + b"x", "got more"),
        (b"\0\0\x08\x01\0\0", "expected between 1 and"),
        (b"\0\0\x08\x01" + struct.pack(">I", 0), "expected between 1 and"),
        (b"\0\0\x08\x01" + struct.pack(">I", 2**30 - 1), "expected 1,073,741,823 bytes behind the header, got 0"),
        (gzip.compress(idx(np.zeros(100, np.uint8)), mtime=0)[:-9], "expected a whole gzip file"),
    ],
)
def test_idx_files_that_are_none(tmp_path: Path, data: bytes, message: str) -> None:
    (tmp_path / "a").write_bytes(data)
    with pytest.raises(ValueError, match=rf"^\[idx\] .*a: .*{message}"):
        read_idx(tmp_path / "a", 1)


def test_an_idx_file_has_a_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").write_bytes(struct.pack(">IIII", 0x803, 3000, 1000, 1000))
    with pytest.raises(ValueError, match=r"expected between 1 and 1,073,741,824 bytes, got the shape \[3000"):
        read_idx(tmp_path / "a", 3)
    large = np.arange(3 << 20, dtype=np.uint8)  # several pieces
    (tmp_path / "b").write_bytes(gzip.compress(idx(large)))
    assert np.array_equal(read_idx(tmp_path / "b", 1), large)


def test_idx_labels_for_every_image(tmp_path: Path) -> None:
    (tmp_path / "images").write_bytes(idx(np.zeros((3, 2, 2), np.uint8)))
    (tmp_path / "labels").write_bytes(idx(np.zeros(2, np.uint8)))
    with pytest.raises(ValueError, match="expected 3 labels, one an image, got 2"):
        read_idx_pair(tmp_path / "images", tmp_path / "labels")
    with pytest.raises(FileNotFoundError):
        read_idx(tmp_path / "none", 1)


# ----- Parts of data


def numbered(count: int, captions: int = 0) -> ImageData:
    """Pictures of one pixel whose brightness is their number."""
    pixels = np.arange(count, dtype=np.uint8).reshape(count, 1, 1)
    texts = [tuple(f"{n} {c}" for c in range(captions)) for n in range(count)] if captions else None
    return ImageData(PixelArray(pixels), labels=[str(n % 3) for n in range(count)], captions=texts)


def test_holding_out_is_a_partition_that_the_seed_decides() -> None:
    data = numbered(40, 1)
    rest, held = data.hold_out(0.25, seed=1)
    assert (len(rest), len(held)) == (30, 10)
    texts = [text for part in (rest, held) for (text,) in part.captions or ()]
    assert sorted(texts) == sorted(f"{n} 0" for n in range(40))
    assert held.captions == data.hold_out(0.25, seed=1)[1].captions != data.hold_out(0.25, seed=2)[1].captions
    number = int(held.captions[3][0].split()[0])  # type: ignore[index]
    assert np.asarray(held.pictures.get(3, 1, 0)) == number and held.labels[3] == str(number % 3)  # type: ignore[index]
    assert [len(part) for part in numbered(2).hold_out(0.01, seed=1)] == [1, 1]


# ----- The loader

PLAIN = Preprocessing(size=1, channels=1, mean=(0.0,), deviation=(1 / 255,))


def loader(data: ImageData, batch: int = 4, mixup: float = 0.0, **options: object) -> ImageLoader:
    captions = None
    if data.captions is not None:
        captions = [[[int(n) + 10 for n in text.split()] for text in texts] for texts in data.captions]
    targets: Targets = Classes(data.numbered(data.classes(), "train"), mixup)
    if captions is not None:
        targets = Captions(captions, bos=2, eos=3)
    return ImageLoader(data.pictures, targets, PLAIN, batch, **options)  # type: ignore[arg-type]


def shown(batch: object) -> tuple[object, ...]:
    fields = [getattr(batch, field.name) for field in dataclasses.fields(batch)]  # type: ignore[arg-type]
    return tuple(value.tolist() if isinstance(value, np.ndarray) else value for value in fields)


def test_every_image_once_an_epoch_with_its_label() -> None:
    batches = loader(numbered(10))
    for epoch in range(3):
        assert (batches.epoch, batches.index, len(batches)) == (epoch, 0, 3)
        seen = list(batches)
        assert [batch.tokens for batch in seen] == [4, 4, 2]
        numbers = np.concatenate([batch.images.reshape(-1) for batch in seen])
        assert sorted(np.rint(numbers).astype(int)) == list(range(10))
        assert np.array_equal(np.concatenate([batch.indices for batch in seen]), np.rint(numbers))
        assert np.array_equal(np.concatenate([batch.labels for batch in seen]), np.rint(numbers) % 3)


def test_captions_are_packed_and_come_in_turn() -> None:
    batches = loader(numbered(6, captions=3), batch=6)
    epochs = [next(iter(batches))]
    for _ in range(3):
        assert next(batches, None) is None
        epochs.append(next(batches))
    for batch in epochs:
        assert batch.target_offsets.tolist() == [0, 3, 6, 9, 12, 15, 18] and batch.tokens == 18
        assert batch.target_input_ids[::3].tolist() == [2] * 6 and batch.target_labels[2::3].tolist() == [3] * 6
        assert np.array_equal(batch.target_input_ids[1::3], batch.indices + 10)
        assert np.array_equal(batch.target_labels[:2], batch.target_input_ids[1:3])
    chosen = [dict(zip(batch.indices.tolist(), batch.target_labels[1::3].tolist(), strict=True)) for batch in epochs]
    assert chosen[0] == chosen[3]
    assert all({turn[number] for turn in chosen[:3]} == {10, 11, 12} for number in range(6))
    assert len(set(chosen[0].values())) > 1


def test_order_and_augmentation_depend_on_seed_epoch_and_image_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    options = {"augmentation": AugmentationConfig(operations=2, erase=0.5), "mixup": 0.4}
    many = [shown(batch) for _ in range(2) for batch in loader(numbered(20), seed=5, **options)]
    monkeypatch.setattr("attnkit.vision.loader._WORKERS", 1)
    monkeypatch.setattr("attnkit.vision.loader._AHEAD", 1)
    assert [shown(batch) for _ in range(2) for batch in loader(numbered(20), seed=5, **options)] == many
    assert [shown(batch) for batch in loader(numbered(20), seed=6, **options)] != many[:5]
    batches = loader(numbered(20), seed=5)
    assert [shown(batch) for batch in batches] != [shown(batch) for batch in batches]


def test_without_shuffling_in_order() -> None:
    batches = loader(numbered(5), batch=2, shuffle=False)
    assert [batch.indices.tolist() for batch in batches] == [[0, 1], [2, 3], [4]]
    assert [batch.indices.tolist() for batch in batches] == [[0, 1], [2, 3], [4]]


@pytest.mark.parametrize("done", range(8))
def test_resumed_anywhere(done: int) -> None:
    def endless(batches: ImageLoader) -> list[object]:
        result: list[object] = []
        while len(result) < 9:
            result += [shown(batch) for batch in [next(batches, None)] if batch is not None]
        return result

    options = {"augmentation": AugmentationConfig(shift=1), "mixup": 0.2}
    whole = endless(loader(numbered(10), **options))
    stopped = loader(numbered(10), **options)
    for _ in range(done):
        next(stopped, None)
    given = done - (done > 3) - (done > 7)  # an epoch's end gives nothing
    resumed = loader(numbered(10), **options)
    next(resumed)
    resumed.load_state_dict(json.loads(json.dumps(stopped.state_dict())))
    assert endless(resumed)[: 9 - given] == whole[given:]


def test_states_of_other_data_are_refused() -> None:
    state = loader(numbered(10)).state_dict()
    for other in (loader(numbered(11)), loader(numbered(10), batch=5), loader(numbered(10), seed=2)):
        with pytest.raises(ValueError, match=r"\[loader\] expected a position with "):
            other.load_state_dict(state)
    with pytest.raises(ValueError, match=r"an index in \[0, 3\]"):
        loader(numbered(10)).load_state_dict({**state, "index": 4})
    with pytest.raises(ValueError, match="batch_images"):
        loader(numbered(10), batch=0)


def test_mixup_blends_images_and_tells_the_labels() -> None:
    batch = next(loader(numbered(8), batch=8, mixup=1.0))
    assert 0.0 < batch.share[0] < 1.0 and len(set(batch.share)) == 1
    pure = {int(index): float(index) for index in batch.indices}
    share = float(batch.share[0])
    for image, index, other in zip(batch.images.reshape(-1), batch.indices, batch.other_labels, strict=True):
        partner = (image - share * pure[int(index)]) / (1 - share)
        assert abs(partner - round(partner)) < 1e-3 and round(partner) % 3 == other


def test_a_broken_image_is_named_and_the_workers_are_at_work_ahead(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"broken")
    with pytest.raises(ValueError, match=r"a\.png"):
        next(ImageLoader(ImageFiles([tmp_path / "a.png"]), Classes(np.zeros(1, np.int32)), PLAIN, 1))
    started = threading.Event()

    class Watched(PixelArray):
        def get(self, index: int, channels: int, at_least: int) -> Image.Image:
            if index == 3:
                started.set()
            return super().get(index, channels, at_least)

    batches = ImageLoader(
        Watched(np.zeros((4, 1, 1), np.uint8)), Classes(np.zeros(4, np.int32)), PLAIN, 1, shuffle=False
    )
    next(batches)
    assert started.wait(10)


# ----- Configuration


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("", 'train: expected files, or builtin = "shapes"'),
        ('format = "idx"\ntrain = ["a"]', r"train: expected 2 path\(s\) for format 'idx', got 1"),
        ('train = ["a"]\ntest = ["b", "c"]', r"test: expected 1 path"),
        ('builtin = "shapes"\ntrain = ["a"]', r"train: expected no files beside builtin = 'shapes'"),
        ('train = ["a"]\nvalidation = ["b"]\nvalidation_share = 0.1', r"validation_share: expected 0 beside"),
        ('train = ["a"]\nclasses = ["b"]', r"classes: expected none for format 'folder'"),
    ],
)
def test_data_sections_that_make_no_sense(data: str, message: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=message):
        msgspec.convert(tomllib.loads(data), ImageDataConfig)


def test_paths_are_taken_from_the_root(photos: Path) -> None:
    written(photos, "list.csv", "image,label\na.png,x\nb.png,y\n")
    data = ImageDataConfig(format="list", root=str(photos), train=("list.csv",), validation_share=0.5).read_training(1)
    assert data[1] is not None and len(data[0]) == len(data[1]) == 1
    (photos / "lists").mkdir()
    (photos / "list.csv").rename(photos / "lists" / "list.csv")
    config = ImageDataConfig(format="list", root=str(photos), train=("lists/list.csv",), images=".")
    assert config.read_training(1)[0].labels == ["x", "y"] and config.read("test") is None
