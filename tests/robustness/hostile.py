"""Input of the kind that attacks, as a table: each case fills a folder, and says what must become of it."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import ctranslate2_files
import marian_files
import pytorch_files
import samples
from fuzz.idx import TOML, idx
from fuzz.image import chunk, png
from PIL import Image

import attnkit

Command = Callable[[Path], list[str]]
ESCAPES = "\x1b]0;OWNED\x07\x1b[2J\x9b31m\x08\u202e"
FAILS, ANY = frozenset({1}), frozenset({0, 1})


@dataclass(frozen=True)
class Case:
    """make: fills a folder and gives the command line, or a program of this module that is run instead. statuses: with
    which it may end. terminal: stdout and stderr are one, which no escape of the input may reach. text: stdin."""

    name: str
    make: Command
    statuses: frozenset[int] = FAILS
    terminal: bool = False
    text: str = ""


# ----- Model files that are none


def _not_a_file(model: str, file: str, what: str) -> Case:
    def make(box: Path) -> list[str]:
        path = samples.copy_model(model, box / "m") / file
        samples.copy_data(box)
        path.unlink()
        if what == "a pipe":
            os.mkfifo(path)
        elif what == "a folder":
            path.mkdir()
        else:
            path.symlink_to(file if what == "a loop" else what)
        return samples.use(model, "m")

    return Case(f"{model}/{file} is {what}", make)


SPECIAL = ("/dev/zero", "a pipe", "a folder", "a loop", "/proc/self/mem")
MODEL_FILES = (
    ("translate-languages", "config.json"),
    ("translate-languages", "vocab.txt"),
    ("translate-languages", "model.safetensors"),
    ("translate", "tokenizer.spm"),
    ("marian", "vocab.json"),
)


def _student_file(file: str, what: str) -> Case:
    """Of a model as Bergamot publishes it."""

    def make(box: Path) -> list[str]:
        marian_files.write_student(box / "m", marian_files.config(dim_vocabs=[96, 96]))
        (path,) = (box / "m").glob(file)
        _replace(path, what)
        return ["convert", "m", "out"]

    return Case(f"a student's {file} is {what}", make, ANY if file.startswith(("lex", "config")) else FAILS)


def _ctranslate2_file(file: str, what: str) -> Case:
    def make(box: Path) -> list[str]:
        ctranslate2_files.write_folder(box / "m", ctranslate2_files.Shape())
        _replace(box / "m" / file, what)
        return ["convert", "m", "out"]

    return Case(f"CTranslate2's {file} is {what}", make)


def _replace(path: Path, what: str) -> None:
    path.unlink()
    if what == "a pipe":
        os.mkfifo(path)
    else:
        path.symlink_to(path.name if what == "a loop" else what)


# ----- Paths that lead elsewhere


def _shard_named(path: str) -> Command:
    def make(box: Path) -> list[str]:
        index = samples.write_checkpoint(box / "m", shards=True) / "model.safetensors.index.json"
        names = json.loads(index.read_text())["weight_map"]
        index.write_text(json.dumps({"weight_map": dict.fromkeys(names, path)}))
        return ["convert", "m", "out"]

    return make


def _image_list_names(path: str) -> Command:
    def make(box: Path) -> list[str]:
        samples.copy_data(box)
        shutil.copy(box / samples.PICTURE, box / "secret.png")
        row = json.dumps({"image": path.replace("BOX", str(box)), "caption": "a b"})
        (box / "data/pictures/list.jsonl").write_text(f"{row}\n" * 4)
        (box / "t.toml").write_text(samples.training("caption"))
        return ["train", "t.toml", "--out", "out", "--set", "training.max_steps=1", "--set", "training.warmup_steps=0"]

    return make


def _pickle(box: Path) -> list[str]:
    folder = samples.write_checkpoint(box / "m")
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(b"cos\nsystem\n(S'touch owned'\ntR.")
    return ["convert", "m", "out"]


# A function of PyTorch's and its arguments, kept as 0 and 1.
_REBUILD = pytorch_files.named("torch._utils._rebuild_tensor_v2") + b"q\0"
_ARGUMENTS = b"(" + pytorch_files.storage("0", 12) + b"K\0" + pytorch_files.numbers((2,)) * 2 + b"NNtq\1"


def _weights_of_pytorch(opcodes: bytes, repeated: bytes = b"", times: int = 0) -> Command:
    def make(box: Path) -> list[str]:
        folder = samples.write_checkpoint(box / "m")
        (folder / "model.safetensors").unlink()
        content = pytorch_files.zipped(opcodes + repeated * times, {"0": bytes(48)})
        (folder / "pytorch_model.bin").write_bytes(content)
        return ["convert", "m", "out"]

    return make


def _pickle_in_an_archive(box: Path) -> list[str]:
    marian_files.write_opus(box / "m", marian_files.config(dim_vocabs=[96, 96]) | marian_files.SELF_ATTENTION)
    (path,) = (box / "m").glob("*.npz")
    path.write_bytes(marian_files.npz_of({"Wemb.npy": b"cos\nsystem\n(S'touch owned'\ntR."}))
    return ["convert", "m", "out"]


# ----- Escapes of a terminal


def _label(box: Path) -> list[str]:
    model = samples.copy_model("classify-text", box / "m")
    config = json.loads((model / "config.json").read_text())
    config["labels"] = [f"{ESCAPES}{index}" for index, _ in enumerate(config["labels"])]
    (model / "config.json").write_text(json.dumps(config))
    return ["classify", "m"]


def _vocabulary(box: Path) -> list[str]:
    model = samples.copy_model("translate-languages", box / "m")
    words = (model / "vocab.txt").read_text().split("\n")
    kept = [
        word if index < 4 or not word or word[0] in "<>" else f"\x1b]0;OWNED\x07{index}"
        for index, word in enumerate(words)
    ]
    (model / "vocab.txt").write_text("\n".join(kept))
    return ["translate", "m", "--to", "it", "--max-length", "6"]


def _translated_text(box: Path) -> list[str]:
    samples.copy_model("translate", box / "m")
    return ["translate", "m", "--max-length", "9"]


def _highlighted_text(box: Path) -> list[str]:
    samples.copy_model("classify-text", box / "m")
    return ["classify", "m", "--highlight"]


def _picture_named(command: str, broken: bool = False) -> Command:
    def make(box: Path) -> list[str]:
        name = f"x{ESCAPES}.png"
        Image.new("RGB", (8, 8), "red").save(box / name)
        if broken:
            (box / name).write_bytes(b"x")
        samples.copy_model("caption" if command == "caption" else "classify-images", box / "m")
        return [command, "m", name]

    return make


def _label_of_training(box: Path) -> list[str]:
    samples.copy_data(box)
    rows = [json.dumps({"text": f"good {n}", "label": f"{ESCAPES}{n % 2}"}) for n in range(40)]
    (box / "data/reviews.jsonl").write_text("\n".join(rows) + "\n")
    (box / "t.toml").write_text(samples.training("classify-text"))
    return ["train", "t.toml", "--out", "out", "--set", "training.max_steps=2", "--set", "training.warmup_steps=1"]


def _file_that_is_missing(box: Path) -> list[str]:
    return ["translate", f"x{ESCAPES}"]


# ----- Bombs

MEGABYTE = 1 << 20


def _packed(path: Path, megabytes: int, content: bytes = b"a", first: bytes = b"") -> None:
    """A gzip file of as many members, each of a packed megabyte: made as fast as it is small."""
    path.write_bytes(gzip.compress(first) + gzip.compress(content * (MEGABYTE // len(content))) * megabytes)


def _line(content: bytes) -> Command:
    def make(box: Path) -> list[str]:
        samples.copy_model("translate", box / "m")
        _packed(box / "line.gz", 1000, content)
        return ["translate", "m", "-i", "line.gz", "--max-length", "5"]

    return make


def _training_line(box: Path) -> list[str]:
    _packed(box / "line.gz", 1000)
    (box / "t.toml").write_text(samples.training("translate-languages"))
    return ["train", "t.toml", "--out", "out", "--set", 'data.train=["line.gz"]']


def _idx(box: Path) -> list[str]:
    _packed(box / "images", 2000, b"\0", first=idx((2000, 1024, 1024), b""))
    _packed(box / "labels", 0, first=idx((2000,), bytes(2000)))
    (box / "t.toml").write_text(TOML)
    return ["train", "t.toml", "--out", "out"]


def _student(file: str) -> Command:
    def make(box: Path) -> list[str]:
        marian_files.write_student(box / "m", marian_files.config(dim_vocabs=[96, 96]))
        (path,) = (box / "m").glob(file)
        _packed(path.with_name(f"{path.name}.gz"), 3000, first=path.read_bytes())
        path.unlink()
        return ["convert", "m", "out"]

    return make


def _package(box: Path) -> list[str]:
    """A package of Argos Translate's with weights of nothing but zeros."""
    members = {"m/metadata.json": b"{}", "m/model/model.bin": bytes(500 * MEGABYTE)}
    (box / "m.argosmodel").write_bytes(ctranslate2_files.zip_of(members))
    return ["convert", "m.argosmodel", "out"]


def _picture(width: int, height: int, colour: int) -> Command:
    def make(box: Path) -> list[str]:
        samples.copy_model("classify-images", box / "m")
        packer = zlib.compressobj(1)
        row = bytes(1 + width * {0: 1, 2: 3, 6: 4}[colour])
        (box / "x.png").write_bytes(
            png(width, height, colour, b"".join(packer.compress(row) for _ in range(height)) + packer.flush())
        )
        return ["classify", "m", "x.png"]

    return make


def _text_in_a_picture(box: Path) -> list[str]:
    samples.copy_model("classify-images", box / "m")
    text = chunk(b"zTXt", b"k\0\0" + zlib.compress(bytes(50 * MEGABYTE), 1)) * 20
    (box / "x.png").write_bytes(png(8, 8, 0, zlib.compress(bytes(72)), extra=text))
    return ["classify", "m", "x.png"]


# ----- Files that change under a loaded model


def overwritten(how: str) -> int:
    """Loads a model, cuts or overwrites its weights in place, and uses it."""
    model = attnkit.load(samples.copy_model("translate", Path("m")), task="translate")
    weights = Path("m/model.safetensors")
    if how == "cut":
        os.truncate(weights, 100)
    else:
        weights.write_bytes(b"x" * 50)
    try:
        model.translate(["the cat sees the dog"])
    except (OSError, ValueError) as error:
        print(error)
    return 0


CASES = [
    *(_not_a_file(model, file, what) for model, file in MODEL_FILES for what in SPECIAL),
    *(_student_file(file, what) for file in ("model*", "vocab*", "lex*") for what in ("/dev/zero", "a pipe", "a loop")),
    *(
        _ctranslate2_file(file, what)
        for file in ("model.bin", "config.json", "shared_vocabulary.json", "sentencepiece.model")
        for what in ("/dev/zero", "a pipe", "a loop")
    ),
    *(
        Case(f"a shard is named {path[:20]!r}", _shard_named(path))
        for path in ("../../etc/passwd", "/etc/passwd", "..", "", "x\0y", "\u202e", "A" * 5000)
    ),
    *(
        Case(f"a list of images names {path}", _image_list_names(path))
        for path in ("../../secret.png", "BOX/secret.png", "/etc/passwd")
    ),
    Case("weights that are a pickle", _pickle),
    Case("weights of PyTorch that call a function", _weights_of_pytorch(b"cos\nsystem\n(X\5\0\0\0touchtR")),
    Case("weights of PyTorch that are lists", _weights_of_pytorch(b"]", b"]a", 2_000_000)),
    Case(
        "weights of PyTorch that are tensors", _weights_of_pytorch(_REBUILD + _ARGUMENTS + b"]", b"h\0h\1Ra", 600_000)
    ),
    Case("an archive with a pickle", _pickle_in_an_archive),
    Case("escapes in a label", _label, ANY, terminal=True, text="a good film\n"),
    Case("escapes in a vocabulary", _vocabulary, ANY, terminal=True, text="the cat\n"),
    Case("escapes in text to translate", _translated_text, ANY, terminal=True, text=f"the {ESCAPES} cat\n"),
    Case("escapes in text to classify", _highlighted_text, ANY, terminal=True, text=f"good {ESCAPES} film\n"),
    Case("escapes in the name of a picture to classify", _picture_named("classify"), ANY, terminal=True),
    Case("escapes in the name of a picture to caption", _picture_named("caption"), ANY, terminal=True),
    Case("escapes in the name of a broken picture", _picture_named("classify", broken=True), terminal=True),
    Case("escapes in a label of training data", _label_of_training, ANY, terminal=True),
    Case("escapes in the name of a missing file", _file_that_is_missing, terminal=True),
    Case("a line of a gigabyte", _line(b"a"), ANY),
    Case("a line of a gigabyte of words", _line(b"the cat "), ANY),
    Case("a training line of a gigabyte", _training_line),
    *(Case(f"a student's {file} of three gigabytes", _student(file)) for file in ("model*", "vocab*", "lex*")),
    Case("a package of Argos Translate's that unpacks to half a gigabyte", _package),
    Case("IDX of two gigabytes", _idx, ANY),
    Case("a grey picture of 134 million pixels", _picture(11585, 11585, 0), ANY),
    Case("a transparent picture of 134 million pixels", _picture(11585, 11585, 6), ANY),
    Case("a picture of one row", _picture(134_217_728, 1, 0), ANY),
    Case("a picture of 400 million pixels", _picture(20_000, 20_000, 0)),
    Case("a picture with a gigabyte of text", _text_in_a_picture, ANY),
]
