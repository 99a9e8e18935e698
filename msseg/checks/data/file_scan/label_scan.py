"""What there is to know of one label file."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from msseg.checks.data.file_scan.damage import find_damage
from msseg.checks.data.file_scan.file_content import Problem, problem_of, read_content
from msseg.checks.data.file_scan.value_counts import count_values
from msseg.datasets.pipelines.label_file import decode_label
from msseg.utils.image_file import check_pixels
from msseg.utils.image_header import read_header
from msseg.utils.image_values import ImageSettingError

_COLOUR_MODE = 'RGB'
_INDEX_MODES = ('1', 'L', 'P', 'I')


@dataclass(frozen=True, slots=True)
class LabelScan:
    """One label, as its file holds it: before label_map and the like.

    Attributes:
        problem: Why it cannot be read; None when it can, and only then the rest is set.
        detail: More on the problem.
        size: (h, w).
        form: Kind of file, mode and bits.
        bits: Bits a channel.
        is_colour: It holds colours, no indices.
        values: Pixels by value; by ``r << 16 | g << 8 | b`` where it holds colours.
        num_lumped: Pixels of values beyond those.
        palette: RGB colour of each of the values, in palette files.
    """

    problem: Problem | None = None
    detail: str = ''
    size: tuple[int, int] = (0, 0)
    form: str = ''
    bits: int = 8
    is_colour: bool = False
    values: dict[int, int] = field(default_factory=dict)
    num_lumped: int = 0
    palette: dict[int, tuple[int, int, int]] = field(default_factory=dict)


def scan_label(path: str) -> LabelScan:
    """Look at a label."""
    content = read_content(path)
    if content.problem:
        return LabelScan(content.problem, content.detail)
    header = read_header(content.data)
    if header is None:
        return LabelScan('unreadable', f'it is no image: it begins with {content.data[:8]!r}')
    try:
        check_pixels(header.size, path)
        damage = find_damage(content.data, header.kind)
        if damage:
            return LabelScan(problem_of(damage), damage)
        raw = decode_label(content.data, path)
    except ImageSettingError as error:
        return LabelScan('setting', str(error).removeprefix(f'{path}: '))
    except ValueError as error:
        return LabelScan(
            _why_refused(header.kind, header.mode, str(error)),
            str(error).removeprefix(f'{path}: '),
        )
    values, num_lumped = count_values(_pack_colours(raw) if raw.ndim == 3 else raw)
    return LabelScan(
        size=raw.shape[:2],
        form=header.form,
        bits=header.bits,
        is_colour=raw.ndim == 3,
        values=values,
        num_lumped=num_lumped,
        palette={v: header.palette[v] for v in values if 0 <= v < len(header.palette)},
    )


def unpack_colour(packed: int) -> tuple[int, int, int]:
    """Return (r, g, b) of a key of `LabelScan.values`."""
    return packed >> 16 & 255, packed >> 8 & 255, packed & 255


def _pack_colours(rgb: np.ndarray) -> np.ndarray:
    packed = rgb[..., 0].astype(np.int32)
    packed = packed << 8 | rgb[..., 1]
    return packed << 8 | rgb[..., 2]


def _why_refused(kind: str, mode: str, message: str) -> Problem:
    if kind == 'JPEG':
        return 'jpeg'
    if mode.split(';')[0] not in (*_INDEX_MODES, _COLOUR_MODE):
        return 'mode'
    return problem_of(message)
