"""Names and places of results: below the folder that the user chose, over no file of the user's."""

from __future__ import annotations

import errno
import os
import struct
import sys
import unicodedata
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tqdm import tqdm

from msseg.utils.errors import UserValueError
from msseg.utils.regular_file import file_kind
from msseg.utils.shown import shorten

_PNG_MARK = b'tEXtSoftware\0msseg'
# PNG's standard chunk for the program that made a picture; it may follow the header
PNG_MARK_CHUNK = (
    struct.pack('>I', len(_PNG_MARK) - 4) + _PNG_MARK + struct.pack('>I', zlib.crc32(_PNG_MARK))
)
FIGURE_MARK = {'Software': 'msseg'}  # the same, for matplotlib and Pillow
TIFF_MARK = b'msseg labels'  # TIFF's tag of the software
HTML_MARK = '<meta name="generator" content="msseg">'
CSV_HEAD = 'image,mIoU,aAcc,pixels'
AREAS_HEAD = 'image,class_index,class,pixels,share,components'
AREA_SUMS_HEAD = 'class_index,class,pixels,share,components,images'
# The first bytes of files that msseg has written; files of other kinds come along with these.
_MARKS = {
    '.png': [_PNG_MARK],
    '.tif': [TIFF_MARK + b'\0'],
    '.html': [HTML_MARK.encode()],
    '.csv': [head.encode() for head in (CSV_HEAD, AREAS_HEAD, AREA_SUMS_HEAD)],
}
_HEAD_BYTES = 8192  # a TIFF's palette stands before its mark
_LONGEST_PROBLEM = 800
_PNG_HEADER_BYTES = 33


def mark_png(content: bytes) -> bytes:
    """Return a PNG file's content with the mark by which `Outputs` knows results of msseg."""
    return content[:_PNG_HEADER_BYTES] + PNG_MARK_CHUNK + content[_PNG_HEADER_BYTES:]


def unique_names(paths: Iterable[str | Path], folders: Iterable[str | Path] = ()) -> list[str]:
    """Return names for the results of each file, unique even where case does not count.

    Args:
        paths: The files.
        folders: Folders that names are relative to if the files are below them; of several, what
            they have in common.

    Returns:
        For each file its path without suffix below the common folder of `folders` and files. It
        keeps its suffix if another would have the same name without; a number distinguishes what
        is still alike (names that differ only in case, or a file that comes twice).

    Examples:
        >>> unique_names(['/data/a/1.png', '/data/b/1.png', '/data/b/1.jpg'])
        ['a/1', 'b/1.png', 'b/1.jpg']
    """
    paths = [os.path.abspath(path) for path in paths]
    starts = {os.path.dirname(path) for path in paths} | {os.path.abspath(f) for f in folders}
    common = os.path.commonpath(starts) if starts else ''
    whole = [Path(os.path.relpath(path, common)).as_posix() for path in paths]
    names, longer = [], [os.path.splitext(name)[0] for name in whole]
    while longer != names:
        names = longer
        count = Counter(map(_same_on_disk, names))
        twice = [count[_same_on_disk(name)] > 1 for name in names]
        longer = [w if again else n for w, n, again in zip(whole, names, twice, strict=True)]
    return _numbered(names)


def are_unique(names: Sequence[str]) -> bool:
    """Whether no two names are alike, even where case does not count."""
    return len(set(map(_same_on_disk, names))) == len(names)


def _numbered(names: Sequence[str]) -> list[str]:
    """Append ``~2``, ``~3`` and so on to names that have come before."""
    taken = {_same_on_disk(name) for name in names}
    seen: Counter[str] = Counter()
    result = []
    for name in names:
        seen[_same_on_disk(name)] += 1
        number = seen[_same_on_disk(name)]
        unique = name
        while number > 1 and _same_on_disk(unique := f'{name}~{number}') in taken:
            number += 1
        taken.add(_same_on_disk(unique))
        result.append(unique)
    return result


def _same_on_disk(name: str) -> str:
    """Return a name as the file systems see it that ignore case and Unicode forms."""
    return unicodedata.normalize('NFC', name).casefold()


def is_own_picture(path: str | Path) -> bool:
    """Whether a file is a PNG that msseg has written; False if it cannot be read."""
    path = Path(path)
    try:
        return path.suffix.lower() == '.png' and path.stat().st_size > 0 and _is_own(path)
    except OSError:
        return False


class Skipped:
    """Collect the results that were skipped so that the rest could be done; report each on stderr.

    Attributes:
        problems: The reports.
    """

    def __init__(self) -> None:
        self.problems: list[str] = []

    def add(self, problem: str) -> None:
        """Report a skipped result."""
        self.problems.append(shorten(problem, _LONGEST_PROBLEM))
        tqdm.write(f'skipped: {self.problems[-1]}', file=sys.stderr)

    def raise_if_any(self) -> None:
        """Raise ValueError if a result was skipped; call it when everything else is done."""
        if self.problems:
            raise UserValueError(
                f'{len(self.problems)} results could not be written and were skipped, all else is '
                f'done; the first: {self.problems[0]}'
            )

    @contextmanager
    def long_names(self, source: str | Path) -> Iterator[None]:
        """Skip a block's result if its name is too long for the file system.

        Args:
            source: The input of the result.
        """
        try:
            yield
        except OSError as error:
            if error.errno != errno.ENAMETOOLONG:
                raise
            name = os.path.basename(str(error.filename2 or error.filename or ''))
            self.add(
                f'{source}: no file can be called {name!r}, which is too long: rename the input'
            )


class Outputs:
    """Give out the paths of a run's results, or refuse them before anything is computed.

    No result lies outside of its folder (by ``..``, an absolute name or a symbolic link), replaces
    an input or another result of the run, or a picture, page or table that msseg has not written.

    Args:
        inputs: Files that the run reads.
        searched: Folders whose files the next run reads, with the suffixes of these files; no such
            result is put there.
    """

    def __init__(
        self,
        inputs: Iterable[str | Path | None] = (),
        searched: Iterable[tuple[str | Path, tuple[str, ...]]] = (),
    ) -> None:
        self._inputs = [path for path in inputs if path is not None]
        self._searched = [(os.path.realpath(folder), suffixes) for folder, suffixes in searched]
        self._input_ids: dict[tuple[int, int], str | Path] | None = None
        self._claimed: dict[str, str] = {}

    def file(self, path: str | Path, who: str, *suffixes: str) -> Path:
        """Return the path of a single file that the user has named.

        Args:
            path: The file; it may exist.
            who: The option that names it, for errors.
            suffixes: The suffixes of an existing file, such as ``.json``; none for any.

        Raises:
            IsADirectoryError: It is a folder.
            ValueError: It is an input, or another result.
            FileExistsError: It exists, and is of another kind or not written by msseg.
        """
        path = Path(path)
        if path.is_dir():
            raise IsADirectoryError(f'{who} is {str(path)!r}, which is a folder; give a file name')
        self._refuse_input(path, who)
        self._refuse_searched([path], who)
        self._claim(path, who)
        if path.exists() and suffixes and path.suffix.lower() not in suffixes:
            expected = ' or '.join(filter(None, suffixes))
            raise FileExistsError(
                f'{who}: {str(path)!r} is there already and is no {expected} file: name another'
            )
        if os.path.lexists(path) and not _is_own(path):
            _refuse_foreign([path], who)
        return path

    def files(self, folder: str | Path, names: Iterable[str], who: str) -> list[Path]:
        """Return the paths of results below a folder.

        Args:
            folder: It need not exist.
            names: Relative paths with suffix; an existing folder of that name (of the pictures of
                a video) must hold nothing but results of msseg.
            who: The option that names the folder, for errors.

        Raises:
            ValueError: A result would lie outside of the folder, or replace an input, another
                result, or a file that msseg has not written.
        """
        folder = Path(folder)
        if folder.exists() and not folder.is_dir():
            kind = file_kind(folder)
            raise NotADirectoryError(f'{who} is {str(folder)!r}, which is {kind}; name a folder')
        names = list(names)
        self._refuse_outside(folder, names, who)
        paths = [folder / name for name in names]
        self._refuse_searched(paths, who)
        foreign = []
        for path in paths:
            self._claim(path, who)
            if os.path.lexists(path):
                self._refuse_input(path, who)
                if not _is_own(path):
                    foreign.append(path)
        if foreign:
            _refuse_foreign(foreign, who)
        return paths

    def _refuse_outside(self, folder: Path, names: Sequence[str], who: str) -> None:
        root = os.path.realpath(folder)
        parents: dict[Path, bool] = {}
        for name in names:
            path = folder / name
            if path.parent not in parents:
                parents[path.parent] = _is_below(os.path.realpath(path.parent), root)
            is_inside = parents[path.parent] and not os.path.isabs(name)
            if is_inside and os.path.islink(path):  # of a name that is too long, too
                is_inside = _is_below(os.path.realpath(path), root)
            if not is_inside or '..' in Path(name).parts:
                raise UserValueError(
                    f'{who}: the result {name!r} would be written to {os.path.realpath(path)!r}, '
                    f'outside of {str(folder)!r}: name another folder, or correct the name (or '
                    'remove the symbolic link) that leads there'
                )

    def _refuse_searched(self, paths: Iterable[Path], who: str) -> None:
        parents: dict[Path, str] = {}
        for path in paths:
            for folder, suffixes in self._searched:
                if path.parent not in parents:
                    parents[path.parent] = os.path.realpath(path.parent)
                if path.name.endswith(suffixes) and _is_below(parents[path.parent], folder):
                    raise UserValueError(
                        f'{who}: the result {str(path)!r} would lie in {folder!r}, where the next '
                        'run would take it for an input: name a place outside of that folder'
                    )

    def _claim(self, path: Path, who: str) -> None:
        key = _same_on_disk(os.path.join(os.path.realpath(path.parent), path.name))
        if key in self._claimed:
            raise UserValueError(
                f'{who}: {str(path)!r} would be written twice, the first time by '
                f'{self._claimed[key]}: name another place for one of them'
            )
        self._claimed[key] = who

    def _refuse_input(self, path: Path, who: str) -> None:
        try:
            found = os.stat(path)
        except OSError:  # not there, or a link that leads nowhere
            return
        if self._input_ids is None:
            self._input_ids = dict(_identified(self._inputs))
        source = self._input_ids.get((found.st_dev, found.st_ino))
        if source is not None:
            raise UserValueError(
                f'{who}: the result {str(path)!r} would replace the input {str(source)!r}: name '
                'another place for results'
            )


def _identified(paths: Iterable[str | Path]) -> Iterator[tuple[tuple[int, int], str | Path]]:
    for path in paths:
        try:
            found = os.stat(path)
        except (OSError, ValueError):  # what is not there cannot be replaced
            continue
        yield (found.st_dev, found.st_ino), path


def _refuse_foreign(paths: Sequence[Path], who: str) -> None:
    others = f' (nor were {len(paths) - 1} more)' if paths[1:] else ''
    raise FileExistsError(
        f'{who}: {str(paths[0])!r} is there already and was not written by msseg{others}: name '
        'another place, or move it away'
    )


def _is_below(path: str, root: str) -> bool:
    return os.path.commonpath([path, root]) == root


def _is_own(path: Path) -> bool:
    """Whether msseg wrote a file; a folder when it holds nothing else than such files."""
    if path.is_dir():
        files = [file for file in path.rglob('*') if not file.is_dir()]
        return all(file.suffix in ('.png', '.npy', '.tif') and _is_own(file) for file in files)
    marks = _MARKS.get(path.suffix.lower())
    if not path.exists():  # a link that leads nowhere
        return True
    if not path.is_file():  # a pipe or a device, which could be read for ever
        return False
    if marks is None or path.stat().st_size == 0:
        return True
    with path.open('rb') as file:
        head = file.read(_HEAD_BYTES)
    return any(mark in head for mark in marks)


def claim_json(file: str | None, config: str) -> None:
    """Refuse a file for --json that cannot be written, or is the config, which has been found."""
    if file and not Path(file).absolute().parent.is_dir():
        raise FileNotFoundError(f'--json {file}: there is no such folder')
    if file:
        Outputs([config]).file(file, '--json', '.json')
