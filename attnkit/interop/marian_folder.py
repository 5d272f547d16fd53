"""The files of a model in Marian's own formats: by the settings beside it, or by their names as they are published."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from attnkit.interop.compressed import find_published, read_published
from attnkit.interop.marian_yaml import read_yaml
from attnkit.printable import quoted

_SETTINGS = ("config*.yml", "decoder.yml")
_MODELS = ("model*.bin", "*.npz")
_LEXICONS = ("lex*.s2t.bin", "lex*.bin", "lex*.s2t", "lex.s2t")
_VOCABULARIES = (("srcvocab*.spm", "trgvocab*.spm"), ("vocab*.spm", "vocab*.spm"), ("*vocab.yml", "*vocab.yml"))
_TOO_LARGE = 1 << 28  # bytes of a vocabulary or a SentencePiece model


class MarianFolder(NamedTuple):
    """model, the vocabularies of source and target (SentencePiece models, or lists of pieces), the SentencePiece models
    beside a list, the lexicon if there is one, and the settings of the search (config*.yml, decoder.yml)."""

    model: Path
    vocabularies: tuple[Path, Path]
    pieces: tuple[Path, Path]
    lexicon: Path | None
    settings: dict[str, Any]
    settings_file: Path | None

    @classmethod
    def find(cls, folder: Path) -> MarianFolder:
        """Raises FileNotFoundError or ValueError, saying what is missing."""
        found = find_published(folder, *_SETTINGS)
        file = found[0] if found else None
        settings = read_yaml(read_published(file, _TOO_LARGE), str(file)) if file else {}
        model = _model(folder, settings, file)
        vocabularies = _vocabularies(folder, settings, file)
        pieces = vocabularies
        if ".yml" in vocabularies[0].name or ".yaml" in vocabularies[0].name:
            pieces = _one(folder, "source.spm"), _one(folder, "target.spm")
        return cls(model, vocabularies, pieces, _lexicon(folder, settings, file), settings, file)


def is_marian_folder(folder: Path) -> bool:
    return bool(find_published(folder, *_MODELS))


def _model(folder: Path, settings: dict[str, Any], file: Path | None) -> Path:
    named = settings.get("models")
    if isinstance(named, list) and named and file is not None:
        if len(named) > 1:
            raise ValueError(f"[convert] {file}: expected one model, got an ensemble of {len(named)}")
        return _named(folder, named[0], file)
    models = find_published(folder, *_MODELS)
    if len(models) != 1:
        raise ValueError(
            f"[convert] {folder}: expected one model ({', '.join(_MODELS)}), got {len(models)}; a config.yml whose "
            "`models` names one of them chooses it"
        )
    return models[0]


def _vocabularies(folder: Path, settings: dict[str, Any], file: Path | None) -> tuple[Path, Path]:
    named = settings.get("vocabs")
    if isinstance(named, list) and len(named) == 2 and file is not None:
        return _named(folder, named[0], file), _named(folder, named[1], file)
    for source, target in _VOCABULARIES:
        sources, targets = find_published(folder, source), find_published(folder, target)
        if len(sources) == len(targets) == 1:
            return sources[0], targets[0]
    raise FileNotFoundError(
        f"[convert] {folder}: expected vocab*.spm, srcvocab*.spm and trgvocab*.spm, or vocab.yml with source.spm and "
        "target.spm, got none of them"
    )


def _lexicon(folder: Path, settings: dict[str, Any], file: Path | None) -> Path | None:
    named = settings.get("shortlist")
    if isinstance(named, list) and named and isinstance(named[0], str) and file is not None:
        return _named(folder, named[0], file)
    found = find_published(folder, *_LEXICONS)
    return found[0] if found else None


def _named(folder: Path, name: Any, file: Path) -> Path:
    """A file that the settings name. It lies beside them: settings made elsewhere read no other files of this machine,
    and absolute paths were those of another machine."""
    base = Path(str(name)).name
    if not isinstance(name, str) or base in ("", ".", "..") or "\0" in name:
        raise ValueError(f"[convert] {file}: expected names of files beside it, got {quoted(name)}")
    return _one(folder, base)


def _one(folder: Path, name: str) -> Path:
    for path in (folder / name, *(folder / (name + end) for end in (".gz", ".zst"))):
        if path.is_file():
            return path
    raise FileNotFoundError(f"[convert] {folder / name}: no such file")
