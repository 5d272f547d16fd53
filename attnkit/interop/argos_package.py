"""Packages of Argos Translate's: `.argosmodel`, a ZIP archive of one folder, or that folder as Argos installs it.

    metadata.json         what the package is: languages, version, a token that every target begins with
    model/                a directory of CTranslate2's
    sentencepiece.model   the tokenizer of both sides; or bpe.model, merges for words that Moses' tokenizer makes
    stanza/, ...          what splits text into sentences, which is not read

Of an archive only the files that are read are unpacked, each to a name that is known here.
"""

from __future__ import annotations

import errno
import shutil
import struct
import zipfile
import zlib
from pathlib import Path
from typing import NamedTuple

import msgspec

from attnkit import typed
from attnkit.interop.ctranslate2_file import MODEL_FILE
from attnkit.printable import quoted, shortened
from attnkit.reading import open_regular, read_file

METADATA_FILE, MODEL_FOLDER = "metadata.json", "model"
TOKENIZER_FILE, CODES_FILE = "sentencepiece.model", "bpe.model"

_END = ".argosmodel"
_SIDES = ("shared", "source", "source_1", "target")
_VOCABULARIES = [f"{side}_vocabulary.{end}" for side in _SIDES for end in ("txt", "json")]
_MODEL_FILES = (MODEL_FILE, "config.json", "vmap.txt", *_VOCABULARIES)
_FILES = (METADATA_FILE, TOKENIZER_FILE, CODES_FILE, *(f"{MODEL_FOLDER}/{name}" for name in _MODEL_FILES))

_MOST = 1 << 32  # bytes of the files together
_MOST_MEMBERS = 1 << 16
_SMALL, _RATIO = 1 << 26, 100  # what is packed to less than a hundredth, and is not small, repeats itself
_LARGEST_METADATA = 1 << 20


class Metadata(msgspec.Struct, frozen=True):
    """What metadata.json says of a package that translates. A package may leave out all of it."""

    type: str = "translate"
    from_code: str | None = None
    to_code: str | None = None
    target_prefix: str = ""

    @classmethod
    def read(cls, path: Path) -> Metadata:
        """Raises OSError or ValueError, naming the file."""
        try:
            return typed.from_json(read_file(path, _LARGEST_METADATA), cls)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise ValueError(f"[convert] {path}: {shortened(str(error), 500)}") from None


def is_argos_package(path: Path) -> bool:
    return (path.suffix == _END and path.is_file()) or (
        (path / METADATA_FILE).is_file() and (path / MODEL_FOLDER / MODEL_FILE).is_file()
    )


def unpack(path: Path, folder: Path) -> None:
    """Writes the package's files into the folder. Raises OSError, and ValueError, naming the file, for one that is no
    archive, broken, or unpacks to more than its size allows."""
    with open_regular(path) as file:
        size = file.seek(0, 2)
        file.seek(0)
        try:
            with zipfile.ZipFile(file) as archive:
                members = _members(archive, path)
                _check_sizes(members, size, path)
                for name, member in members.items():
                    (folder / name).parent.mkdir(exist_ok=True)
                    with archive.open(member) as packed, open(folder / name, "wb") as written:
                        shutil.copyfileobj(packed, written, 1 << 20)
        except (OSError, zipfile.BadZipFile, zlib.error, struct.error, EOFError, RuntimeError, UnicodeError) as error:
            if isinstance(error, OSError) and error.errno != errno.EINVAL:  # of a place that no file has
                raise
            reason = quoted(" ".join(str(error).split()))
            raise ValueError(f"[convert] {path}: expected a sound package of Argos Translate's ({reason})") from None


def _members(archive: zipfile.ZipFile, path: Path) -> dict[str, zipfile.ZipInfo]:
    """Those that are read, by their names inside the package's folder."""
    listed = archive.infolist()
    if len(listed) > _MOST_MEMBERS:
        raise ValueError(f"[convert] {path}: expected at most {_MOST_MEMBERS:,} files, got {len(listed):,}")
    names = [member.filename for member in listed if member.filename.endswith(f"/{METADATA_FILE}")]
    root = min(names, key=len, default="/").rpartition("/")[0]
    wanted = {f"{root}/{name}": name for name in _FILES}
    members = {wanted[member.filename]: member for member in listed if member.filename in wanted}
    for name in (METADATA_FILE, f"{MODEL_FOLDER}/{MODEL_FILE}"):
        if name not in members:
            raise ValueError(
                f"[convert] {path}: expected a package of Argos Translate's, got an archive without {name}"
            )
    return members


def _check_sizes(members: dict[str, zipfile.ZipInfo], size: int, path: Path) -> None:
    """The archive's own numbers: `zipfile` reads no more of a member than it says."""
    most = min(_MOST, max(_SMALL, _RATIO * size))
    total = sum(member.file_size for member in members.values())
    if total > most:
        raise ValueError(f"[convert] {path}: expected files of at most {most:,} bytes, got {total:,}")


class Package(NamedTuple):
    """A package's folder, and what its metadata say."""

    folder: Path
    metadata: Metadata

    @classmethod
    def read(cls, folder: Path) -> Package:
        """Raises OSError or ValueError, naming the file, for a package that is not supported."""
        path = folder / METADATA_FILE
        metadata = Metadata.read(path)
        if metadata.type != "translate":
            raise ValueError(
                f'[convert] {path}: expected a package of the type "translate", got {quoted(metadata.type)}'
            )
        if metadata.target_prefix:
            raise ValueError(
                f"[convert] {path}: a package whose targets begin with {quoted(metadata.target_prefix)} "
                "(target_prefix): not supported"
            )
        if not (folder / TOKENIZER_FILE).exists() and (folder / CODES_FILE).exists():
            raise ValueError(
                f"[convert] {folder / CODES_FILE}: merges of subword-nmt for words of Moses' tokenizer: not supported; "
                f"attnkit reads packages with {TOKENIZER_FILE}"
            )
        return cls(folder, metadata)
