"""Reading and preparing images: every kind of file that holds a picture, and those that do not."""

from __future__ import annotations

import io
import os
import random
import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import numpy as np
import pytest
from pictures import gradient, write_bad_images
from PIL import Image

from attnkit.vision import AugmentationConfig, Augmenter, Preprocessing, images, read_image, to_image
from attnkit.vision.augmentation import _OPERATIONS
from attnkit.vision.preprocessing import check_images


def pixels(image: Image.Image) -> np.ndarray:
    return np.asarray(image).astype(int)


# ----- Files


@pytest.mark.parametrize("name", ["a.png", "a.webp", "a.bmp", "a.tif", "a.ppm", "a.gif", "a.jpg"])
def test_every_format(tmp_path: Path, name: str) -> None:
    options = {"lossless": True} if name == "a.webp" else {"quality": 95} if name == "a.jpg" else {}
    gradient(32, 24).save(tmp_path / name, **options)
    loose = 40 if name in ("a.gif", "a.jpg") else 0  # few colours, few bits
    for channels, mode in ((3, "RGB"), (1, "L")):
        picture = read_image(tmp_path / name, channels)
        assert (picture.mode, picture.size) == (mode, (32, 24))
        assert np.abs(pixels(picture) - pixels(gradient(32, 24).convert(mode))).max() <= loose


def test_transparency_lies_on_white(tmp_path: Path) -> None:
    clear = Image.new("RGBA", (2, 1), (255, 0, 0, 255))
    clear.putpixel((1, 0), (0, 0, 0, 0))
    clear.save(tmp_path / "rgba.png")
    clear.convert("LA").save(tmp_path / "la.png")
    palette = Image.new("P", (2, 1))
    palette.putpalette([255, 0, 0, 0, 0, 0])
    palette.putpixel((1, 0), 1)
    palette.save(tmp_path / "palette.png", transparency=1)
    Image.new("RGB", (2, 1), (0, 0, 0)).save(tmp_path / "key.png", transparency=(0, 0, 0))
    assert pixels(read_image(tmp_path / "rgba.png")).tolist() == [[[255, 0, 0], [255, 255, 255]]]
    assert pixels(read_image(tmp_path / "la.png", 1)).tolist() == [[76, 255]]
    assert pixels(read_image(tmp_path / "palette.png")).tolist() == [[[255, 0, 0], [255, 255, 255]]]
    assert pixels(read_image(tmp_path / "key.png")).tolist() == [[[255] * 3] * 2]


@pytest.mark.parametrize("name", ["deep.png", "deep.tif"])
def test_sixteen_bits_become_eight(tmp_path: Path, name: str) -> None:
    deep = np.array([[0, 257, 32896, 65535]], np.uint16)
    Image.fromarray(deep).save(tmp_path / name)
    assert pixels(read_image(tmp_path / name, 1)).tolist() == [[0, 1, 128, 255]]
    assert pixels(read_image(tmp_path / name)).tolist() == [[[v] * 3 for v in (0, 1, 128, 255)]]


def test_cmyk_and_bilevel(tmp_path: Path) -> None:
    Image.new("CMYK", (4, 4), (0, 255, 255, 0)).save(tmp_path / "cmyk.tif")
    Image.new("1", (4, 4), 1).save(tmp_path / "bits.png")
    assert pixels(read_image(tmp_path / "cmyk.tif"))[0, 0].tolist() == [255, 0, 0]
    assert pixels(read_image(tmp_path / "bits.png", 1))[0, 0] == 255


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_undone(tmp_path: Path, orientation: int) -> None:
    from PIL.Image import Transpose as T

    turned = {1: None, 2: T.FLIP_LEFT_RIGHT, 3: T.ROTATE_180, 4: T.FLIP_TOP_BOTTOM, 5: T.TRANSPOSE, 6: T.ROTATE_90,
              7: T.TRANSVERSE, 8: T.ROTATE_270}[orientation]  # fmt: skip
    stored = gradient() if turned is None else gradient().transpose(turned)
    exif = Image.Exif()
    exif[274] = orientation
    for name in ("a.png", "a.jpg"):
        stored.save(tmp_path / name, exif=exif, **({"quality": 100, "subsampling": 0} if name == "a.jpg" else {}))
        assert np.abs(pixels(read_image(tmp_path / name)) - pixels(gradient())).max() <= (6 if name == "a.jpg" else 0)


def test_damaged_exif_does_no_harm(tmp_path: Path) -> None:
    gradient().save(tmp_path / "a.jpg", exif=b"Exif\x00\x00MM\x00*\xff\xff\xff\xff")
    assert read_image(tmp_path / "a.jpg").size == (12, 8)


def test_a_phones_second_picture_is_left_alone(tmp_path: Path) -> None:
    gradient().save(tmp_path / "a.mpo", save_all=True, append_images=[gradient()])
    assert read_image(tmp_path / "a.mpo").size == (12, 8)


def test_a_large_jpeg_is_unpacked_smaller(tmp_path: Path) -> None:
    gradient(640, 480).save(tmp_path / "a.jpg")
    assert read_image(tmp_path / "a.jpg", at_least=60).size == (80, 60)
    assert read_image(tmp_path / "a.jpg").size == (640, 480)


def test_what_is_no_picture_says_so(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = write_bad_images(tmp_path)
    for name, message in expected.items():
        with pytest.raises(ValueError, match=r"^\[image\] ") as raised:
            read_image(tmp_path / name)
        assert str(tmp_path / name) in str(raised.value) and message in str(raised.value)
        assert "\n" not in str(raised.value)
    with pytest.raises(FileNotFoundError):
        read_image(tmp_path / "none.png")
    with pytest.raises(IsADirectoryError):
        read_image(tmp_path)


def test_formats_that_start_programs_are_not_read(tmp_path: Path) -> None:
    (tmp_path / "a.eps").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EOF\n")
    with pytest.raises(ValueError, match="expected an image, got something else"):
        read_image(tmp_path / "a.eps")


def test_threads_read_at_once(tmp_path: Path) -> None:
    gradient(100, 100).save(tmp_path / "a.png")
    with ThreadPoolExecutor(8) as pool:
        assert {picture.size for picture in pool.map(read_image, [tmp_path / "a.png"] * 64)} == {(100, 100)}


def in_every_form(path: Path) -> list[object]:
    """An image file as bytes, as streams, one of which only goes forwards, and as Pillow opens it."""
    data = path.read_bytes()

    class Forwards:
        def __init__(self) -> None:
            self._file = io.BytesIO(data)

        def read(self, size: int = -1) -> bytes:
            return self._file.read(min(size, 100) if size > 0 else size)

    return [data, bytearray(data), memoryview(data), io.BytesIO(data), Forwards(), Image.open(io.BytesIO(data))]


def test_one_rule_for_files_bytes_streams_and_pillow_images(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[274] = 6
    gradient(40, 30).save(tmp_path / "turned.jpg", exif=exif)
    clear = gradient(8, 8).convert("RGBA")
    clear.putalpha(100)
    clear.save(tmp_path / "clear.png")
    Image.fromarray(np.array([[0, 257, 32896, 65535]], np.uint16)).save(tmp_path / "deep.png")
    for name in ("turned.jpg", "clear.png", "deep.png"):
        for channels in (3, 1):
            prepare = Preprocessing(size=4, channels=channels)
            expected = read_image(tmp_path / name, channels)
            for form in in_every_form(tmp_path / name):
                assert np.array_equal(pixels(read_image(form, channels)), pixels(expected)), (name, type(form))
            assert [prepare.read(form).size for form in in_every_form(tmp_path / name)]


def test_what_was_read_is_not_turned_again(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[274] = 6
    gradient(40, 30).save(tmp_path / "a.jpg", exif=exif)
    once = read_image(tmp_path / "a.jpg")
    assert once.size == (30, 40) and np.array_equal(pixels(read_image(once)), pixels(once))


def test_what_is_no_picture_says_so_in_every_form(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = write_bad_images(tmp_path)
    for name, message in expected.items():
        data = (tmp_path / name).read_bytes()
        for form in (data, io.BytesIO(data)):
            with pytest.raises(ValueError, match=r"^\[image\] (bytes|a stream): ") as raised:
                read_image(form)
            assert message in str(raised.value)
    with Image.open(tmp_path / "moving.gif") as moving:
        with pytest.raises(ValueError, match="expected one picture, got 3 frames"):
            read_image(moving)
        assert read_image(moving.copy()).size == (8, 8)
    with pytest.raises(ValueError, match=r"^\[image\] a Pillow image: .* got floating-point numbers"):
        read_image(Image.new("F", (4, 4), 0.5))
    for bad, got in ((None, "NoneType"), ({}, "dict"), (io.StringIO("text"), "str")):
        with pytest.raises(TypeError, match=rf"^\[image\] .*got {got}$"):
            read_image(bad)  # type: ignore[arg-type]


def test_one_image_is_no_list_of_them(tmp_path: Path) -> None:
    for one in (b"bytes", io.BytesIO(b"stream"), gradient(), "a.png", tmp_path, np.zeros((2, 2), np.uint8)):
        with pytest.raises(TypeError, match=r"^\[caption\] expected a list of images, got one "):
            check_images(one, "caption")  # type: ignore[arg-type]
    check_images(iter(["a.png"]), "caption")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs POSIX")
def test_a_pipe_or_a_device_is_no_image_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    for path, got in ((tmp_path / "pipe.png", "a pipe"), (Path("/dev/zero"), "a device")):
        with pytest.raises(ValueError, match=f"{path}: expected a regular file, got {got}"):
            read_image(path)


class Endless(io.RawIOBase):
    """A stream that never ends."""

    def read(self, size: int = -1) -> bytes:
        return bytes(size)


def test_a_file_has_a_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "MAX_BYTES", 1 << 22)
    (tmp_path / "large.png").write_bytes(bytes((1 << 22) + 1))
    for form in (tmp_path / "large.png", bytes((1 << 22) + 1), Endless()):
        with pytest.raises(ValueError, match=r"expected at most 4,194,304 bytes, got more"):
            read_image(form)  # type: ignore[arg-type]


@pytest.mark.parametrize("mode", ["RGBA", "P", "I;16", "LA", "CMYK", "1"])
def test_a_large_picture_is_converted_in_strips(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    deep = Image.fromarray((np.arange(35 * 20, dtype=np.uint16) * 90).reshape(35, 20))
    picture = deep if mode == "I;16" else gradient(20, 35).convert(mode)
    if mode in ("RGBA", "LA"):
        picture.putalpha(gradient(20, 35).convert("L"))
    if mode == "P":
        picture.info["transparency"] = 3
    for channels in (3, 1):
        whole = read_image(picture, channels)
        with monkeypatch.context() as patch:
            patch.setattr(images, "_STRIP", 100)
            assert np.array_equal(pixels(read_image(picture, channels)), pixels(whole))


def test_the_memory_of_a_large_picture_is_little_more_than_its_own(tmp_path: Path) -> None:
    Image.new("RGBA", (6000, 6000), (1, 2, 3, 128)).save(tmp_path / "a.png", compress_level=1)
    code = (
        "import resource, sys\n"
        "from attnkit.vision import read_image\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "read_image(sys.argv[1])\n"
        "print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1000)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, tmp_path / "a.png"], capture_output=True, timeout=60, check=True)
    assert float(done.stdout) < 2.6 * 144  # megabytes: the file's four bytes a pixel, and the result's


def test_arrays() -> None:
    image = pixels(gradient()).astype(np.uint8)
    assert np.array_equal(pixels(to_image(image)), image)
    assert to_image(image[:, :, :1]).mode == "RGB" and to_image(image[:, :, 0], 1).mode == "L"
    for bad in (image.astype(np.float32), image[:, :, :2], image[0, 0], np.zeros((0, 4, 3), np.uint8)):
        with pytest.raises(ValueError, match=r"^\[image\] expected "):
            to_image(bad)


# ----- Preparing


def test_crop_keeps_the_middle_and_stretch_keeps_all() -> None:
    wide = Image.new("RGB", (90, 30), "blue")
    wide.paste("red", (30, 0, 60, 30))
    cropped = Preprocessing(size=10).fitted(wide)
    assert cropped.size == (10, 10) and pixels(cropped)[:, 1:-1, 0].min() > 240
    stretched = pixels(Preprocessing(size=9, fit="stretch").fitted(wide))
    assert stretched.shape == (9, 9, 3) and stretched[4, 0, 2] > 240 and stretched[4, 4, 0] > 240
    assert Preprocessing(size=10).fitted(wide, 30).size == (30, 30)


def test_numbers_are_centred() -> None:
    prepare = Preprocessing(size=2, mean=(0.5, 0.25, 0.0), deviation=(0.5, 0.25, 1.0))
    array = prepare.array(Image.new("RGB", (2, 2), (255, 0, 51)))
    assert array.dtype == np.float32 and array.shape == (2, 2, 3)
    np.testing.assert_allclose(array[0, 0], [1.0, -1.0, 0.2], atol=1e-6)
    assert Preprocessing(size=2, channels=1).array(Image.new("L", (2, 2))).shape == (2, 2, 1)


@pytest.mark.parametrize(
    "table", [{}, {"size": 0}, {"size": 8, "mean": [1.0, 2.0]}, {"size": 8, "deviation": [0.0]}, {"size": 8, "x": 1}]
)
def test_preprocessing_that_makes_no_sense(table: dict[str, object]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(table, Preprocessing)


# ----- Augmentation


def augmented(picture: Image.Image, seed: int = 1, **options: object) -> np.ndarray:
    augment = Augmenter(AugmentationConfig(**options), Preprocessing(size=16))  # type: ignore[arg-type]
    return pixels(augment(picture, random.Random(seed)))


def test_no_augmentation_is_the_plain_square() -> None:
    assert np.array_equal(augmented(gradient(32, 16)), pixels(Preprocessing(size=16).fitted(gradient(32, 16))))


@pytest.mark.parametrize("option", [{"crop": 0.3}, {"shift": 4}, {"operations": 2}, {"erase": 1.0}, {"flip": True}])
def test_every_option_changes_pictures_and_repeats_itself(option: dict[str, object]) -> None:
    plain = augmented(gradient(16, 16))
    results = [augmented(gradient(16, 16), seed, **option) for seed in range(8)]
    assert all(result.shape == (16, 16, 3) for result in results)
    assert sum(not np.array_equal(result, plain) for result in results) >= 2
    assert all(np.array_equal(results[seed], augmented(gradient(16, 16), seed, **option)) for seed in range(8))


def test_flip_and_shift_are_what_they_say() -> None:
    flips = [augmented(gradient(16, 16), seed, flip=True) for seed in range(20)]
    plain = augmented(gradient(16, 16))
    assert {np.array_equal(each, plain[:, ::-1]) for each in flips} == {True, False}
    moved = augmented(Image.new("RGB", (16, 16), "white"), 3, shift=5)
    assert set(np.unique(moved)) <= {128, 255} and (moved == 128).any()


def test_a_shift_moves_whole_pixels_each_way() -> None:
    plain = augmented(gradient(16, 16)).astype(int)
    padded = np.pad(plain, ((20, 20), (20, 20), (0, 0)), constant_values=128)
    windows = {(x, y): padded[20 + y : 36 + y, 20 + x : 36 + x] for x in range(-20, 21) for y in range(-20, 21)}
    seen = set()
    for seed in range(200):
        moved = augmented(gradient(16, 16), seed, shift=2)
        seen |= {by for by, window in windows.items() if np.array_equal(window, moved)}
    assert seen == {(x, y) for x in range(-2, 3) for y in range(-2, 3)}
    far = [augmented(gradient(16, 16), seed, shift=40) for seed in range(30)]  # past the square: nothing is left
    assert any((each == 128).all() for each in far) and not all((each == 128).all() for each in far)


@pytest.mark.parametrize("name", list(_OPERATIONS))
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_operations(name: str, mode: str) -> None:
    augment = Augmenter(AugmentationConfig(operations=1), Preprocessing(size=16, channels=3 if mode == "RGB" else 1))
    square = gradient(16, 16).convert(mode)
    square.paste(40, (5, 5, 9, 9)) if mode == "L" else square.paste((200, 40, 90), (5, 5, 9, 9))
    strong, none = _OPERATIONS[name](augment, square, 1.0), _OPERATIONS[name](augment, square, 0.0)
    assert (strong.mode, strong.size) == (mode, (16, 16))
    if name not in ("autocontrast", "equalize", "posterize", "solarize"):  # which have no strength, or steps of it
        assert np.abs(pixels(none) - pixels(square)).max() <= 1
    if name not in ("identity", "autocontrast", "equalize") and (name, mode) != ("colour", "L"):
        assert not np.array_equal(pixels(strong), pixels(square))


def test_magnitude_counts() -> None:
    weak, strong = (augmented(gradient(16, 16), 4, operations=3, magnitude=m) for m in (1, 10))
    assert not np.array_equal(weak, strong)


def test_in_memory_files_are_closed(tmp_path: Path) -> None:
    gradient().save(buffer := io.BytesIO(), "PNG")
    (tmp_path / "a.png").write_bytes(buffer.getvalue())
    picture = read_image(tmp_path / "a.png")
    (tmp_path / "a.png").unlink()
    assert pixels(picture).shape == (8, 12, 3)
