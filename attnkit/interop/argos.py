"""Argos Translate's packages, made into model directories: a model of CTranslate2's with its tokenizer."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import msgspec

from attnkit.files import atomic_folder
from attnkit.interop.argos_package import MODEL_FOLDER, TOKENIZER_FILE, Package, unpack
from attnkit.interop.converted import Converted, checked_target
from attnkit.interop.ctranslate2 import DEFAULTS, Read, read_ctranslate2

_DEFAULTS = msgspec.structs.replace(DEFAULTS, beam=4, length_penalty=0.2)
"""As Argos Translate searches."""


def convert_argos(source: str | os.PathLike[str], directory: str | os.PathLike[str]) -> Converted:
    """Reads the package `source`, a file `.argosmodel` or the folder that Argos Translate makes of one, and writes the
    model directory `directory`, whole or not at all.

    Raises FileExistsError where `directory` has content; OSError or ValueError, naming the file, for a package that is
    incomplete, broken or not supported.
    """
    path, target = Path(source), checked_target(directory)
    with atomic_folder(target) as new:
        read = _read(path) if path.is_dir() else _read_archive(path, new / "package")
        return read.save(new, _DEFAULTS)


def _read(folder: Path) -> Read:
    package = Package.read(folder)
    return read_ctranslate2(package.folder / MODEL_FOLDER, package.folder / TOKENIZER_FILE)


def _read_archive(path: Path, folder: Path) -> Read:
    """Unpacks it into the folder for as long as it is read. Messages name the archive."""
    folder.mkdir()
    try:
        unpack(path, folder)
        read = _read(folder)
    except (ValueError, FileNotFoundError) as error:
        kind = FileNotFoundError if isinstance(error, FileNotFoundError) else ValueError
        raise kind(str(error).replace(os.fspath(folder), os.fspath(path))) from None
    finally:
        shutil.rmtree(folder)
    left_out = [line.replace(os.fspath(folder), os.fspath(path)) for line in read.left_out]
    return read._replace(left_out=left_out)
