"""What every conversion of a checkpoint of transformers' begins with: its folder, its config.json, its tensors."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from attnkit.interop.converted import checked_folders
from attnkit.interop.hf_config import CONFIG_FILE, decode, read_table
from attnkit.interop.huggingface.filling import Renamed
from attnkit.interop.tensors import Tensors

T = TypeVar("T")


class Checkpoint(NamedTuple):
    """folder: where it lies. target: where the model directory is to be. table: config.json as it stands."""

    folder: Path
    target: Path
    table: dict[str, Any]
    tensors: Renamed

    @classmethod
    def open(
        cls,
        source: str | os.PathLike[str],
        directory: str | os.PathLike[str],
        canonical: Callable[[str], str] = str,
    ) -> Checkpoint:
        """Reads config.json and the headers of the tensors, which get the names that `canonical` gives theirs. Raises
        FileExistsError where `directory` has content; FileNotFoundError or ValueError, naming the file."""
        folder, target = checked_folders(source, directory)
        table = read_table(folder / CONFIG_FILE)
        return cls(folder, target, table, Renamed(Tensors(folder), canonical))

    def config(self, kind: type[T]) -> T:
        """What config.json says, as that struct. Raises ValueError that names the file and the key."""
        return decode(self.table, kind, self.folder / CONFIG_FILE)

    @property
    def architecture(self) -> str:
        """The class of transformers' that wrote it, "BertForMaskedLM" say; empty where it does not say."""
        named = self.table.get("architectures")
        return str(named[0]) if isinstance(named, list) and named else ""

    def refused(self, what: str) -> ValueError:
        """The error for a configuration that is not supported; what: the key, what is expected, what there is."""
        return ValueError(f"[convert] {self.folder / CONFIG_FILE}: {what}")
