"""What a case of files is: command lines, and of which samples its folder was made before something was changed."""

from __future__ import annotations

import filecmp
import json
import shutil
from dataclasses import dataclass, field
from pathlib import Path

import samples

FILE = "case.json"


@dataclass(frozen=True)
class Job:
    """base: a folder of the case, and the folder of tests/data/formats/1 that it is a copy of."""

    commands: list[list[str]]
    base: dict[str, str] = field(default_factory=dict)

    def keep(self, box: Path, to: Path) -> None:
        """Writes down the case: how it is run, and the files that differ from the samples."""
        to.mkdir(parents=True)
        for path in sorted(box.rglob("*")):
            name = path.relative_to(box)
            if path.is_file() and not self._is_sample(path, name):
                (to / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(path, to / name)
        gone = [
            str(folder / path.relative_to(samples.FORMAT / base))
            for folder, base in ((Path(folder), base) for folder, base in self.base.items())
            for path in sorted((samples.FORMAT / base).rglob("*"))
            if path.is_file() and not (box / folder / path.relative_to(samples.FORMAT / base)).is_file()
        ]
        record = {"commands": self.commands, "base": self.base, "gone": gone}
        (to / FILE).write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", "utf-8")

    def _is_sample(self, path: Path, name: Path) -> bool:
        base = self.base.get(name.parts[0])
        if base is None:
            return False
        same = samples.FORMAT.joinpath(base, *name.parts[1:])
        return same.is_file() and filecmp.cmp(path, same, shallow=False)


def restore(kept: Path, box: Path) -> Job:
    """The other way: fills the folder of a case that was written down."""
    record = json.loads((kept / FILE).read_text("utf-8"))
    for folder, base in record["base"].items():
        shutil.copytree(samples.FORMAT / base, box / folder)
    for name in record.get("gone", []):
        (box / name).unlink()
    shutil.copytree(kept, box, dirs_exist_ok=True, symlinks=True, ignore=shutil.ignore_patterns(FILE))
    return Job(record["commands"], record["base"])
