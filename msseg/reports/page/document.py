"""The frame of a page: title, sections, style and script in one file."""

from __future__ import annotations

from html import escape
from importlib.resources import files
from pathlib import Path

from msseg.utils.atomic import atomic_write_text
from msseg.utils.outputs import HTML_MARK
from msseg.version import __version__


class Page:
    """A page of sections.

    Args:
        title: Its heading.
        subtitle: A line below.
    """

    def __init__(self, title: str, subtitle: str = '') -> None:
        self.title, self.subtitle = title, subtitle
        self._sections: list[tuple[str, str]] = []

    def add(self, title: str, *bodies: str, note: str = '') -> None:
        """Add a section.

        Args:
            title: Its heading, unlike all others'.
            *bodies: HTML.
            note: A sentence below the heading, plain text.
        """
        said = f'<p class="note">{escape(note)}</p>' if note else ''
        self._sections.append((title, said + ''.join(bodies)))

    def html(self) -> str:
        """Return the whole page."""
        links = ''.join(f'<a href="#{_anchor(t)}">{escape(t)}</a>' for t, _ in self._sections)
        sections = '\n'.join(
            f'<section id="{_anchor(title)}"><h2>{escape(title)}</h2>{body}</section>'
            for title, body in self._sections
        )
        return (
            f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">{HTML_MARK}'
            '<meta name="viewport" content="width=device-width, initial-scale=1">'
            # without one of its own a browser asks the server for an icon
            '<link rel="icon" href="data:,">'
            f'<title>{escape(self.title)}</title><style>{_own_file("page.css")}</style></head>\n'
            f'<body><header><h1>{escape(self.title)}</h1><p>{escape(self.subtitle)}</p>'
            f'<nav>{links}</nav></header>\n<main>\n{sections}\n</main>\n'
            f'<footer>msseg {__version__}</footer>\n'
            f'<script>{_own_file("page.js")}</script></body></html>\n'
        )

    def write(self, path: str | Path) -> None:
        """Write the page; its folder must exist.

        Raises:
            OSError: It cannot be written.
        """
        atomic_write_text(path, self.html())


def _anchor(title: str) -> str:
    return ''.join(c if c.isalnum() else '-' for c in title.lower())


def _own_file(name: str) -> str:
    return (files('msseg.reports.page') / name).read_text(encoding='utf-8')
