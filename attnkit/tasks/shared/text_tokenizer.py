"""The tokenizer of a task with one text: learnt by a new run, read by a resumed one."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from attnkit.text.tokenizers.config import TokenizerConfig
from attnkit.text.tokenizers.pair import TokenizerPair


def make_tokenizer(
    texts: Iterable[str],
    config: TokenizerConfig,
    seed: int,
    folder: Path,
    note: Callable[[str], None],
    resumed: bool,
    mask: bool = False,
) -> TokenizerPair:
    """The tokenizer, as a pair of the same one twice. A new run writes it to `folder`, a resumed one reads it there.

    mask: its vocabulary has an entry for hidden tokens."""
    if resumed:
        saved = {key: getattr(config, key) for key in ("kind", "joint", "lowercase")}
        tokenizers = TokenizerPair.load(folder, {**saved, "mask": mask})
    else:
        tokenizers = TokenizerPair.train(texts, (), config, seed, mask=mask)
        tokenizers.save(folder)
    note(f"tokenizer: {tokenizers.kind}, {tokenizers.source.vocab_size:,} entries")
    return tokenizers
