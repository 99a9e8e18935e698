"""Installed fonts with the glyphs of names in any script."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache

import matplotlib
from matplotlib import font_manager
from matplotlib.font_manager import FontProperties

from msseg.utils.logging import get_logger

# Tried in this order, then all that are installed.
_PREFERRED = (
    'Noto Sans CJK SC', 'Noto Sans SC', 'Source Han Sans SC', 'Source Han Sans CN',
    'WenQuanYi Micro Hei', 'WenQuanYi Zen Hei', 'SimHei', 'Microsoft YaHei', 'PingFang SC',
    'PingFang HK', 'Hiragino Sans GB', 'Heiti TC', 'STHeiti', 'Noto Sans CJK JP', 'Yu Gothic',
    'Malgun Gothic', 'AppleGothic', 'Nirmala UI', 'Arial Unicode MS', 'Noto Sans', 'Arial',
)  # fmt: skip
_PLACEHOLDER_FONTS = ('LastResort', 'Last Resort', 'Adobe Blank')  # every glyph is a box in them
_MOST_NAMED = 3


def one_line(name: str) -> str:
    """Return a name without line breaks, control and other invisible characters."""
    seen = ''.join(' ' if c.isspace() else c for c in name)
    return ' '.join(''.join(c for c in seen if unicodedata.category(c)[0] != 'C').split())


def drawable_names(names: Sequence[str], kind: str = 'class') -> list[str]:
    """Return names as pictures show them: one that no font can draw becomes 'class 3'.

    Args:
        names: Names in any script.
        kind: The word for such a name, which one line of the log explains.
    """
    plain = tuple(one_line(name) for name in names)
    missing = _find_fonts(frozenset().union(*plain))[1]
    shown = [
        f'{kind} {i}' if not name or set(name) & missing else name for i, name in enumerate(plain)
    ]
    lost = [name for name, drawn in zip(plain, shown, strict=True) if name and name != drawn]
    if lost:
        _warn(tuple(lost), kind)
    return shown


@contextmanager
def fonts_for(texts: Sequence[str]) -> Iterator[None]:
    """Make matplotlib draw texts literally, with fonts that have their glyphs."""
    families = _find_fonts(frozenset().union(*texts))[0]
    with matplotlib.rc_context({'font.family': list(families), 'text.parse_math': False}):
        yield


@lru_cache
def _warn(names: tuple[str, ...], kind: str) -> None:
    more = f' and {len(names) - _MOST_NAMED} more' if len(names) > _MOST_NAMED else ''
    get_logger().warning(
        'no installed font can draw %s%s: pictures show "%s 0", "%s 1" and so on; install a font '
        'with these characters, for Chinese such as Noto Sans CJK '
        '(apt-get install fonts-noto-cjk)',
        ', '.join(map(repr, names[:_MOST_NAMED])), more, kind, kind,
    )  # fmt: skip


@lru_cache
def _find_fonts(characters: frozenset[str]) -> tuple[tuple[str, ...], frozenset[str]]:
    """Return families that cover the characters together, and the characters without a font."""
    missing = characters - {' '}
    families = list(matplotlib.rcParams['font.family'])
    for family in families:
        missing -= _glyphs(font_manager.findfont(FontProperties(family=[family])))
    for family, path in _installed() if missing else ():
        found = missing & _glyphs(path)
        if found:
            families.append(family)
            missing -= found
        if not missing:
            break
    return tuple(families), missing


def _installed() -> Iterator[tuple[str, str]]:
    """Yield family and file of the fonts, the preferred ones first, newly installed ones last."""
    known = font_manager.fontManager.ttflist
    seen = {entry.fname for entry in known}
    yield from _families(known)
    count = len(known)
    for path in sorted(set(font_manager.findSystemFonts()) - seen):
        try:
            font_manager.fontManager.addfont(path)
        except (OSError, RuntimeError, NotImplementedError):
            continue  # a font that matplotlib does not draw, such as one of bitmaps
    yield from _families(known[count:])


def _families(entries: Sequence[font_manager.FontEntry]) -> Iterator[tuple[str, str]]:
    names = {entry.name for entry in entries if not entry.name.startswith(_PLACEHOLDER_FONTS)}
    rank = {name: place for place, name in enumerate(_PREFERRED)}
    for name in sorted(names, key=lambda name: (rank.get(name, len(rank)), name)):
        yield name, font_manager.findfont(FontProperties(family=[name]))


@lru_cache
def _glyphs(path: str) -> frozenset[str]:
    return frozenset(map(chr, font_manager.get_font(path).get_charmap()))
