"""Find the images and videos that a command line names, and name their results."""

from __future__ import annotations

import glob
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from msseg.utils.logging import get_logger
from msseg.utils.outputs import is_own_picture, unique_names

LABELS, OVERLAYS, PROBABILITIES = 'labels', 'overlays', 'probabilities'
IMAGE_SUFFIXES = frozenset([
    '.bmp', '.jp2', '.jpeg', '.jpg', '.npy', '.npz', '.pbm', '.pgm', '.png', '.pnm', '.ppm',
    '.tif', '.tiff', '.webp',
])  # fmt: skip
VIDEO_SUFFIXES = frozenset([
    '.avi', '.flv', '.m4v', '.mkv', '.mov', '.mp4', '.mpeg', '.mpg', '.webm', '.wmv',
])  # fmt: skip

_MOST_NAMED = 3


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

    @property
    def has_parts(self) -> bool:
        """Whether it may hold several pictures, whose results have a folder of its name."""
        return self.is_video or self.path.suffix.lower() in ('.tif', '.tiff')


def find_inputs(arguments: Sequence[str | Path], without: str | Path | None = None) -> list[Input]:
    """List the images and videos that a command line names.

    Args:
        arguments: Files; folders, searched to any depth; patterns with ``*``, ``?``, ``[…]`` or
            ``**``, for a shell that leaves them alone.
        without: The folder for results, whose images are left out, unless they are named one by
            one; where it holds the arguments, only its folders of earlier results are. PNG files
            that msseg has written and files of other suffixes are left out of any folder or
            pattern, with a warning.

    Returns:
        Each file once, in the order of the arguments, those of a folder or pattern sorted. Names
        are paths below what all arguments have in common; a file keeps its suffix in the name
        where another would have the same without.

    Raises:
        FileNotFoundError: An argument names nothing, or a folder holds no image.
    """
    files: dict[Path, None] = {}
    roots, own, skipped = [], [], []
    for argument in arguments:
        root, found, unknown = _expand(str(argument))
        roots.append(root)
        left_out = _folders_to_leave_out(root, without)
        others = [Path(os.path.abspath(path)) for path in unknown]
        skipped += [path.name for path in others if left_out.isdisjoint(path.parents)]
        for path in map(Path, map(os.path.abspath, found)):
            is_asked_for = str(path) == os.path.abspath(argument)
            if is_asked_for or path in files:
                files[path] = None
            elif left_out.isdisjoint(path.parents):
                own.append(path) if is_own_picture(path) else files.setdefault(path)
    if own:
        get_logger().warning(
            'left out: %s, written by msseg%s; name such a file by itself to label it',
            own[0],
            f', and {len(own) - 1} more like it' if own[1:] else '',
        )
    if skipped:
        get_logger().warning(
            'skipped %s no suffix of an image or video: %s%s; name such a file by itself to have '
            'it read',
            f'{len(skipped)} files that have' if skipped[1:] else 'a file that has',
            ', '.join(skipped[:_MOST_NAMED]),
            f' and {len(skipped) - _MOST_NAMED} more' if skipped[_MOST_NAMED:] else '',
        )
    if not files:
        raise FileNotFoundError(
            f'there is no image or video in {", ".join(map(str, arguments)) or "nothing"}'
        )
    return _named([*files], roots)


def _named(files: Sequence[Path], roots: Sequence[str]) -> list[Input]:
    names = unique_names(files, roots)
    folders = {parent.as_posix() for name in names for parent in Path(name).parents}
    whole = unique_names([f'{path}.' for path in files], roots)
    # frames and pages have a folder of this name, where no other file's results may lie
    return [
        Input(path, full if name in folders and Input(path, name).has_parts else name)
        for path, name, full in zip(files, names, whole, strict=True)
    ]


def _folders_to_leave_out(root: str, without: str | Path | None) -> set[Path]:
    if without is None:
        return set()
    folder = Path(without).resolve()
    # where images lie in the folder for results, or below it, only these are left out
    is_inside = folder in (Path(root).resolve(), *Path(root).resolve().parents)
    return {folder / kind for kind in (LABELS, OVERLAYS, PROBABILITIES)} if is_inside else {folder}


def _expand(argument: str) -> tuple[str, list[str], list[str]]:
    """Return the folder that names start from, the files, and those of unknown suffixes."""
    if os.path.isdir(argument):
        names = sorted(
            os.path.join(folder, name)
            for folder, _, names in os.walk(argument)
            for name in names
            if not name.startswith('.')
        )
        found, unknown = _by_suffix(names)
        if not found:
            raise FileNotFoundError(
                f'folder {argument!r} holds no image or video (suffixes '
                f'{" ".join(sorted(IMAGE_SUFFIXES | VIDEO_SUFFIXES))}, in either case)'
            )
        return os.path.abspath(argument), found, unknown
    if os.path.lexists(argument):
        return os.path.dirname(os.path.abspath(argument)), [argument], []
    if not glob.has_magic(argument):
        raise FileNotFoundError(f'{argument!r}: there is no such file or folder')
    found, unknown = _by_suffix(sorted(glob.glob(argument, recursive=True)))
    if not found:
        raise FileNotFoundError(f'pattern {argument!r} matches no image or video')
    root = os.path.commonpath([os.path.dirname(os.path.abspath(path)) for path in found])
    return root, found, unknown


def _by_suffix(paths: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the images and videos among paths, and the other files."""
    known = IMAGE_SUFFIXES | VIDEO_SUFFIXES
    found = [path for path in paths if os.path.splitext(path)[1].lower() in known]
    return found, [path for path in sorted(set(paths).difference(found)) if os.path.isfile(path)]
