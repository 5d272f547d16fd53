"""What is put before a text, so that a model knows what to do with it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from attnkit.printable import quoted


class Prompts(NamedTuple):
    """Those of a model by name, and the name of the one that is put before texts where nobody says."""

    texts: Mapping[str, str]
    default: str | None

    def named(self, name: str | None, what: str) -> str:
        """The prompt of that name, or where it is None of the default; empty where there is none of these. Raises
        ValueError, beginning with `what`, for a name that there is not."""
        chosen = self.default if name is None else name
        if chosen is None:
            return ""
        if chosen not in self.texts:
            known = f"one of {', '.join(sorted(self.texts))}" if self.texts else "none, which this model does not have"
            raise ValueError(f"[{what}] prompt: expected {known}, got {quoted(chosen)}")
        return self.texts[chosen]

    def named_or_given(self, prompt: str | None, what: str) -> str:
        """`named`, for models that read any prompt: what is no name, for it has more than one word or other characters
        than a name's, is the prompt itself, and an empty one is none. Raises what `named` raises, so that a name that
        was mistyped is not read to the model."""
        if prompt is None or prompt in self.texts:
            return self.named(prompt, what)
        if prompt and re.fullmatch(r"[\w-]+", prompt):
            known = "".join(f"{name}, " for name in sorted(self.texts))
            raise ValueError(f'[{what}] prompt: expected {known}or a text such as "summarize: ", got {quoted(prompt)}')
        return prompt
