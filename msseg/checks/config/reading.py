"""Reading a config so that it can be looked at even where it would be refused."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from msseg.apis.config_schema import get_schema, lay_options
from msseg.checks.config.finding import Findings
from msseg.config import Config
from msseg.config.checking import find_problems
from msseg.config.reader import DuplicateKey, load_file
from msseg.registry import config_file, config_path
from msseg.utils.cli import one_line

# What training cannot do without.
_NEEDED = ('model', 'data', 'data.train', 'data.val', 'optimizer', 'lr_config', 'runner')
_KINDS = {
    'key': 'misspelt_key',
    'type': 'unknown_type',
    'argument': 'misspelt_argument',
    'value': 'no_dict',
    'range': 'wrong_value',
}


def read_config(
    filename: str | Path, cfg_options: Mapping[str, Any] | None, findings: Findings
) -> Config | None:
    """Read a config and lay options over it; of keys that two bases define take the last.

    Args:
        filename: The file.
        cfg_options: Values by dotted key.
        findings: Where to note such keys.

    Returns:
        The config; None when it cannot be read because of such keys.

    Raises:
        OSError, ValueError, KeyError, TypeError, ImportError: It cannot be read for another
            reason, or an option does not fit.
    """
    duplicates: list[DuplicateKey] = []
    loaded = None
    try:
        loaded = load_file(str(filename), duplicates=duplicates)
    except (ValueError, KeyError, TypeError):
        if not duplicates:
            raise
    for key, file, first, second in duplicates:
        findings.add('duplicate_base_key', key, f'its bases {first} and {second} define it', file)
    if loaded is None:
        return None
    cfg = Config(loaded.values, cfg_text=loaded.text, filename=str(filename))
    lay_options(cfg, cfg_options)
    return cfg


def check_keys(cfg: Config, findings: Findings) -> None:
    """Find keys that nothing takes, types that name nothing, and keys that are missing.

    What is no dict where one belongs is taken out of the config: the checks after this rely on it.
    """
    for kind, node, key, error in list(find_problems(cfg, get_schema())):
        where, origin = config_path(node), config_file(node, key) or ''
        text = one_line(error).removeprefix(f'{where}: ').replace(f' (set in {origin})', '')
        findings.add(_KINDS[kind], f'{where}.{key}' if where else key, text, origin)
        if kind == 'value':
            del node[key]
    for key in _NEEDED:
        node: Any = cfg
        for name in key.split('.'):
            node = node.get(name) if isinstance(node, Mapping | Config) else None
        outer = key.rpartition('.')[0]
        if node is None and not (findings.hinders(key) or outer and findings.hinders(outer)):
            findings.add('missing_key', key, 'is not said')
