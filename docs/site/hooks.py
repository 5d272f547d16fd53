"""Pages of the site that are not files of docs/: the README and its neighbours, and the help of every command."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parent.parent.parent
PAGES = {
    "README.md": "index.md",
    "CHANGELOG.md": "changes.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
}
LINK = re.compile(r"\]\((?!https?:|#)([^)#\s]+)(#[^)\s]*)?\)")

PIPE = re.compile(r"\\\|(?=[^`\n]*`[^`\n]*\|)")  # escaped inside code in a table, as GitHub wants it


def on_files(files: Files, config: Any) -> Files:
    """Adds the pages from the root of the source tree, and the files there that a page links to."""
    for source, page in PAGES.items():
        files.append(File.generated(config, page, abs_src_path=str(ROOT / source)))
    for page in files.documentation_pages():
        for link in LINK.finditer(page.content_string):
            target = _linked(_source_of(page.src_uri), link[1])
            if not target.startswith("docs/") and target not in PAGES and (ROOT / target).is_file():
                files.append(File.generated(config, _place_of(target), abs_src_path=str(ROOT / target)))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Links between files of the source tree become links between pages. The page of commands gets their help."""
    here = page.file.src_uri
    if here == "reference/command-line.md":
        markdown += "\n\n".join(_help_of_commands())

    def moved(link: re.Match[str]) -> str:
        place = _place_of(_linked(_source_of(here), link[1]))
        return f"]({posixpath.relpath(place, posixpath.dirname(here) or '.')}{link[2] or ''})"

    return PIPE.sub("|", LINK.sub(moved, markdown))


def _source_of(page: str) -> str:
    """The path in the source tree that a page of the site was made from."""
    return next((source for source, made in PAGES.items() if made == page), f"docs/{page}")


def _linked(source: str, link: str) -> str:
    return posixpath.normpath(posixpath.join(posixpath.dirname(source), link))


def _place_of(source: str) -> str:
    """Where a file of the source tree lies in the site."""
    return PAGES.get(source, source.removeprefix("docs/"))


def _help_of_commands() -> list[str]:
    from attnkit.cli.main import group

    with click.Context(group, info_name="attnkit", **group.context_settings) as context:
        return list(_help(group, context))


def _help(command: click.Command, context: click.Context) -> Iterator[str]:
    """A section for the command, and one for each command of a group."""
    yield f"## {context.command_path}\n\n```text\n{context.get_help()}\n```"
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            assert inner is not None
            yield from _help(inner, click.Context(inner, context, info_name=name))
