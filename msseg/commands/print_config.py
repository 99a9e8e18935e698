"""Print a config with its inheritance resolved, or say which file set a key.

``msseg print-config CONFIG [--cfg-options …] [--explain KEY]``
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from msseg.config import Config, ConfigDict, add_cfg_options
from msseg.config.writer import find_unwritable
from msseg.utils.cli import CommandParser
from msseg.utils.shown import shown


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the command line's arguments."""
    parser = CommandParser(
        description='Print a config with its inheritance resolved, or which file set a key.'
    )
    parser.add_argument('config', help='config file, or the name of one')
    parser.add_argument(
        '--explain', metavar='KEY', help='say which file set KEY, as model.decode_head.1.channels'
    )
    add_cfg_options(parser)
    return parser.parse_args(argv)


def explain(cfg: Config, key: str) -> str:
    """Return lines that name a key's value and the file that set it, part by part for a dict."""
    value, file = cfg.find(key)
    lines = [
        f'{at} = {shown(leaf) if find_unwritable(leaf, at) else repr(leaf)}  # {origin}'
        for at, leaf, origin in _leaves(value, key, file)
    ]
    return '\n'.join(lines)


def _leaves(value: object, key: str, file: str | None) -> list[tuple[str, object, str]]:
    if isinstance(value, ConfigDict) and value:
        children = [(f'{key}.{name}', v, value.config_file(name)) for name, v in value.items()]
    elif isinstance(value, (list, tuple)) and any(isinstance(v, ConfigDict) for v in value):
        children = [(f'{key}.{index}', v, file) for index, v in enumerate(value)]
    else:
        return [(key, value, file or 'unknown')]
    return [leaf for child in children for leaf in _leaves(child[1], child[0], child[2])]


def main(argv: Sequence[str] | None = None) -> None:
    """Print."""
    args = parse_args(argv)
    if args.cfg_options:
        # Only the check of the options needs to know the components, and so the framework.
        from msseg.apis.config_schema import load_config

        cfg = load_config(args.config, args.cfg_options, parts=())
    else:
        cfg = Config.fromfile(args.config, import_custom_modules=False)
    if args.explain:
        print(explain(cfg, args.explain))
        return
    for line in cfg.translation_report:
        print(f'# {line}')
    for key in [key for key in cfg if find_unwritable(cfg[key], key)]:
        print(f'# {key}: {shown(cfg[key])}, which no config file can hold')
        del cfg[key]
    print(cfg.pretty_text.rstrip())
