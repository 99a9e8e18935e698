"""Convert a public data set to folders that a config reads: ``msseg convert-dataset NAME …``."""

from __future__ import annotations

import importlib
import sys
from argparse import RawDescriptionHelpFormatter
from collections.abc import Sequence

from msseg.commands import convert_datasets
from msseg.utils.cli import CommandParser
from msseg.utils.suggest import did_you_mean


def main(argv: Sequence[str] | None = None) -> object:
    """Run the converter that the first argument names; return what its ``main`` returns."""
    words = list(sys.argv[1:] if argv is None else argv)
    known = convert_datasets.DATASETS
    lines = [f'  {name:10}  {text}' for name, text in known.items()]
    parser = CommandParser(
        usage='msseg convert-dataset NAME …',
        description='Convert a public data set to folders that a config reads.\n\ndata sets:\n'
        + '\n'.join(lines),
        epilog='msseg convert-dataset NAME --help lists the arguments of one.',
        formatter_class=RawDescriptionHelpFormatter,
    )
    if not words or words[0].startswith('-'):
        parser.parse_args(words[:1])
        parser.error(f'NAME is missing: one of {", ".join(known)}')
    if words[0] not in known:
        hint = did_you_mean(words[0], known) or f' There are: {", ".join(known)}'
        parser.error(f'there is no data set {words[0]!r}.{hint}')
    module = importlib.import_module(f'{convert_datasets.__name__}.{words[0]}')
    return module.main(words[1:])
