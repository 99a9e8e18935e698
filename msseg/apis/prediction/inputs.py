"""The images and videos that files, folders and patterns stand for, and names for their results."""

from __future__ import annotations

import glob
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

IMAGE_SUFFIXES = frozenset(
    ['.bmp', '.jp2', '.jpeg', '.jpg', '.pbm', '.pgm', '.png', '.pnm', '.ppm', '.tif', '.tiff']
    + ['.webp']
)
VIDEO_SUFFIXES = frozenset(
    ['.avi', '.flv', '.m4v', '.mkv', '.mov', '.mp4', '.mpeg', '.mpg', '.webm', '.wmv']
)


@dataclass(frozen=True)
class Input:
    """An image or a video.

    Attributes:
        path: The file.
        name: What its results are called: a relative path without suffix, like no other input's.
    """

    path: Path
    name: str

    @property
    def is_video(self) -> bool:
        """Whether it has a video's suffix."""
        return self.path.suffix.lower() in VIDEO_SUFFIXES


def find_inputs(arguments: Sequence[str | Path], without: str | Path | None = None) -> list[Input]:
    """List the images and videos that a command line names.

    Args:
        arguments: Files; folders, searched to any depth; patterns with ``*``, ``?``, ``[…]`` or
            ``**``, for a shell that leaves them alone.
        without: A folder to leave out, such as that of earlier results; files named one by one
            may be inside.

    Returns:
        Each file once, in the order of the arguments, those of a folder or pattern sorted. Names
        are paths below what all arguments have in common; a file keeps its suffix in the name
        where another would have the same without.

    Raises:
        FileNotFoundError: An argument names nothing, or a folder holds no image.
    """
    files: dict[Path, None] = {}
    roots = []
    left_out = None if without is None else Path(without).resolve()
    for argument in arguments:
        root, found = _expand(str(argument))
        roots.append(root)
        for path in found:
            path = Path(os.path.abspath(path))
            is_asked_for = str(path) == os.path.abspath(argument)
            if is_asked_for or left_out is None or left_out not in path.parents:
                files[path] = None
    if not files:
        raise FileNotFoundError(
            f'there is no image or video in {", ".join(map(str, arguments)) or "nothing"}'
        )
    common = Path(os.path.commonpath(roots))
    return [Input(path, name) for path, name in zip(files, _names(files, common), strict=True)]


def _expand(argument: str) -> tuple[str, list[str]]:
    """Return the folder that names start from, and the files."""
    if os.path.isdir(argument):
        found = sorted(
            os.path.join(folder, name)
            for folder, _, names in os.walk(argument)
            for name in names
            if _is_known(name) and not name.startswith('.')
        )
        if not found:
            raise FileNotFoundError(
                f'folder {argument!r} holds no image or video (suffixes '
                f'{" ".join(sorted(IMAGE_SUFFIXES | VIDEO_SUFFIXES))}, in either case)'
            )
        return os.path.abspath(argument), found
    if os.path.lexists(argument):
        return os.path.dirname(os.path.abspath(argument)), [argument]
    if not glob.has_magic(argument):
        raise FileNotFoundError(f'{argument!r}: there is no such file or folder')
    found = sorted(path for path in glob.glob(argument, recursive=True) if _is_known(path))
    if not found:
        raise FileNotFoundError(f'pattern {argument!r} matches no image or video')
    return os.path.commonpath([os.path.dirname(os.path.abspath(path)) for path in found]), found


def _is_known(name: str) -> bool:
    return os.path.splitext(name)[1].lower() in IMAGE_SUFFIXES | VIDEO_SUFFIXES


def _names(files: Iterable[Path], common: Path) -> list[str]:
    whole = [path.relative_to(common).as_posix() for path in files]
    names = [os.path.splitext(name)[0] for name in whole]
    while True:
        count = Counter(name.lower() for name in names)  # as file systems without case see them
        twice = [count[name.lower()] > 1 for name in names]
        longer = [w if again else n for w, n, again in zip(whole, names, twice, strict=True)]
        if longer == names:
            return names
        names = longer
