"""One door for models from elsewhere: which format a folder holds decides who reads it."""

from __future__ import annotations

import os
from pathlib import Path

from attnkit.interop.argos_package import is_argos_package
from attnkit.interop.converted import Converted
from attnkit.interop.ctranslate2_file import is_ctranslate2_folder
from attnkit.interop.hf_config import CONFIG_FILE
from attnkit.interop.marian_folder import is_marian_folder


def convert(source: str | os.PathLike[str], directory: str | os.PathLike[str]) -> Converted:
    """Makes the model directory `directory` of the model in the folder `source`, whole or not at all.

    source: Marian's own files (`convert_native`), a checkpoint as Hugging Face keeps it, of one of the families that
    `attnkit.interop.huggingface.registry` lists, a folder of CTranslate2's (`convert_ctranslate2`), or a package of
    Argos Translate's (`convert_argos`).
    Raises FileExistsError where `directory` has content; FileNotFoundError or ValueError, naming the file, for a model
    that is incomplete, broken, of another kind or not supported.
    """
    folder = Path(source)
    if is_argos_package(folder):
        from attnkit.interop.argos import convert_argos

        return convert_argos(source, directory)
    if is_ctranslate2_folder(folder):
        from attnkit.interop.ctranslate2 import convert_ctranslate2

        return convert_ctranslate2(source, directory)
    if not (folder / CONFIG_FILE).exists() and is_marian_folder(folder):
        from attnkit.interop.marian_native import convert_native

        return convert_native(source, directory)
    if (folder / CONFIG_FILE).exists():
        from attnkit.interop.huggingface.registry import find_family

        converted: Converted = find_family(folder)(source, directory)
        return converted
    from attnkit.interop.marian import convert_marian

    return convert_marian(source, directory)  # which says what it misses
