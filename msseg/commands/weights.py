"""List, fetch and check weights: ``msseg weights {list,get,check}``."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from msseg.utils.cli import CommandParser
from msseg.utils.errors import unknown_name
from msseg.weights import (
    Entry,
    digits_of,
    fetch,
    file_sha256,
    find_entry,
    list_entries,
    local_file,
    msseg_home,
    place_of,
)

_HEAD = ('name', 'MB', 'score', 'on', 'here')
_PARTS = '.*.part'
_WEIGHTS = ('.pth', '.pt', '.bin', '.safetensors', '.npz', '.ckpt')


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the command line's arguments."""
    parser = CommandParser(
        description='Weights that configs and command lines can name: list, fetch and check them.'
    )
    commands = parser.add_subparsers(dest='command', required=True)
    listing = commands.add_parser(
        'list',
        help='list the catalogue',
        description='List the catalogue. Scores are those that the publishers state, in percent: '
        'mIoU, Dice, or the share of right classes; ~ marks sizes that are counted.',
    )
    listing.add_argument(
        'pattern', nargs='?', default='*', help="a part of the names, or such as 'mmseg://ocr*'"
    )
    listing.add_argument('--here', action='store_true', help='only files that are on this machine')
    listing.add_argument('--json', action='store_true', help='print JSON, with all that is known')
    getting = commands.add_parser(
        'get', help='fetch files', description='Fetch files, and print their paths.'
    )
    getting.add_argument(
        'names', nargs='+', metavar='NAME', help='of the list, or an address with https://'
    )
    checking = commands.add_parser(
        'check',
        help='check the files on this machine',
        description='Compare the files of the catalogue that are on this machine with the digits '
        'of their SHA-256. The exit status is 1 if one differs.',
    )
    checking.add_argument('names', nargs='*', metavar='NAME', help='by default all that are here')
    checking.add_argument('--json', action='store_true', help='print JSON')
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Do what is asked for; return the exit status."""
    args = parse_args(argv)
    if args.command == 'list':
        return list_weights(args)
    if args.command == 'get':
        for entry in [find_entry(name) for name in args.names]:  # all names, before the first file
            print(local_file(entry) or fetch(entry))
        return 0
    return check_weights(args)


def list_weights(args: argparse.Namespace) -> int:
    """Print the catalogue."""
    entries = list_entries(args.pattern)
    if not entries:
        raise unknown_name(
            f'no weights are called {args.pattern!r}',
            args.pattern.strip('*'),
            (entry.name.partition('://')[2] for entry in list_entries()),
            expected="a part of a name, or a pattern such as 'mmseg://ocr*'; msseg weights list "
            'lists all',
        )
    paths = {entry.name: local_file(entry) for entry in entries}
    if args.here:
        entries = [entry for entry in entries if paths[entry.name]]
    if args.json:
        rows = {entry.name: _as_json(entry, paths[entry.name]) for entry in entries}
        print(json.dumps(rows, indent=1))
        return 0
    table = [_HEAD, *(_row(entry, paths[entry.name]) for entry in entries)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    aligns = (str.ljust, str.rjust, str.rjust, str.ljust, str.ljust)
    for row in table:
        cells = zip(row, widths, aligns, strict=True)
        print('  '.join(align(cell, width) for cell, width, align in cells).rstrip())
    return 0


def _as_json(entry: Entry, path: Path | None) -> dict:
    return {**asdict(entry), 'path': str(path or place_of(entry)), 'is_here': path is not None}


def _row(entry: Entry, path: Path | None) -> tuple[str, ...]:
    size = '-'
    if entry.megabytes is not None:
        size = f'{"~" if entry.is_counted else ""}{entry.megabytes:.1f}'
    score = '-' if entry.figure is None else f'{entry.figure:.2f}'
    return entry.name, size, score, entry.data, 'yes' if path else ''


def check_weights(args: argparse.Namespace) -> int:
    """Compare files with their hashes, and print what is found; return 1 if one is wrong."""
    chosen = [find_entry(name) for name in args.names] or list_entries()
    found = {entry: path for entry in chosen if (path := local_file(entry))}
    results = {entry.name: _verdict(entry, path) for entry, path in found.items()}
    if args.names:
        results |= {entry.name: 'not here' for entry in chosen if entry not in found}
    else:
        results |= _check_others(set(found.values()))
    if args.json:
        print(json.dumps(results, indent=1))
    else:
        for name, text in results.items():
            print(f'{name}: {text}')
        print(f'{len(found)} of {len(chosen)} files of the catalogue are in {msseg_home()}')
    return int(any(text.startswith(('not here', 'WRONG')) for text in results.values()))


def _check_others(known: set[Path]) -> dict[str, str]:
    """Return what is found of the other files in the folder, such as those of addresses."""
    results = {}
    for path in sorted(msseg_home().rglob('*')):
        if path.match(_PARTS):
            results[str(path)] = 'arrived in part; get it again to go on'
        elif path.suffix in _WEIGHTS and path not in known and path.is_file():
            results[str(path)] = _compare(path, digits_of(path.name))
    return results


def _verdict(entry: Entry, path: Path) -> str:
    is_same = path.name == Path(entry.file).name
    text = _compare(path, entry.digits) if is_same else 'converted from it, not checked'
    return f'{text} ({path})'


def _compare(path: Path, digits: str) -> str:
    if not digits:
        return f'no SHA-256 is known, {path.stat().st_size / 1e6:.1f} MB'
    found = file_sha256(path)
    if found.startswith(digits):
        return 'right'
    return (
        f'WRONG: its SHA-256 begins with {found[: len(digits)]}, expected {digits}: remove it, and '
        'get it again'
    )
