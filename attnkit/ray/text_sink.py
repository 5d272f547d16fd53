"""A column of a dataset as text files."""

from __future__ import annotations

from typing import Any

from attnkit.data.lines import line_of
from attnkit.ray.library import library


def write_text(dataset: Any, folder: str, column: str) -> None:
    """Writes a column as UTF-8 text, a line a row, one file a block; the names of the files sort as the blocks follow
    each other. A line end in a text becomes a space.

    Raises RuntimeError where Ray is not installed, OSError where the folder cannot be written.
    """
    library()
    from ray.data.datasource import BlockBasedFileDatasink

    class TextSink(BlockBasedFileDatasink):  # type: ignore[misc]  # where Ray is not installed it is nothing
        def write_block_to_file(self, block: Any, file: Any) -> None:
            file.write(b"".join(line_of(text.as_py()) for text in block.to_arrow().column(column)))

    dataset.write_datasink(TextSink(folder, file_format="txt"))
