"""Read a config that loading might refuse; check its keys, and the files that it names."""

from __future__ import annotations

import os
import os.path as osp
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from msseg.apis.config_schema import get_schema, lay_options
from msseg.apis.model_source import check_weights
from msseg.apis.train_settings import checkpoint_folders
from msseg.checks.config.settings import SPLITS, Setting, dataset_nodes, part, setting
from msseg.checks.findings import Findings, note_of
from msseg.config import Config
from msseg.config.checking import find_problems
from msseg.config.find_base import find_config
from msseg.config.reader import DuplicateKey, load_file
from msseg.datasets.file_lists import check_folder, collect_problems
from msseg.registry import config_file, config_path
from msseg.utils.cli import one_line

# Training needs these.
_NEEDED = ('model', 'data', 'data.train', 'data.val', 'optimizer', 'lr_config', 'runner')
_RULES = {
    'key': 'misspelt_key',
    'type': 'unknown_type',
    'argument': 'misspelt_argument',
    'value': 'no_dict',
    'range': 'wrong_value',
}


def read_config(
    filename: str | Path, cfg_options: Mapping[str, Any] | None, findings: Findings
) -> Config | None:
    """Read a config and apply options; of a key that two bases define, the last value counts.

    Returns:
        The config; None if such keys make it unreadable.

    Raises:
        OSError, ValueError, KeyError, TypeError, ImportError: It cannot be read for another
            reason, or an option does not fit.
    """
    duplicates: list[DuplicateKey] = []
    loaded, filename = None, find_config(str(filename))
    try:
        loaded = load_file(filename, duplicates=duplicates)
    except (ValueError, KeyError, TypeError):
        if not duplicates:
            raise
    for key, file, first, second in duplicates:
        note = f'its bases {first} and {second} define it'
        findings.add('duplicate_base_key', key, note, file)
    if loaded is None:
        return None
    cfg = Config(loaded.values, loaded.text, filename, loaded.report)
    lay_options(cfg, cfg_options)
    return cfg


def check_keys(cfg: Config, findings: Findings) -> None:
    """Find misspelt, missing and wrong keys; values that should be dicts are removed."""
    for kind, node, key, error in list(find_problems(cfg, get_schema())):
        where, origin = config_path(node), config_file(node, key) or ''
        findings.add(_RULES[kind], f'{where}.{key}' if where else key, note_of(error), origin)
        if kind == 'value':
            del node[key]  # the other checks rely on it
    for key in _NEEDED:
        outer, _, name = key.rpartition('.')
        node = part(cfg, outer) if outer else cfg
        is_known = findings.block(key) or outer and findings.block(outer)
        if node.get(name) is None and not is_known:
            findings.add('missing_key', key, 'is not set')


def check_paths(cfg: Config, findings: Findings) -> None:
    """Look for the folders and lists of the data sets, and for the weights to start from."""
    for split in SPLITS:
        for dataset in dataset_nodes(cfg, split):
            _check_dataset(dataset, findings)
    _check_weights(cfg, findings)
    out_dir = setting(part(cfg, 'checkpoint_config'), 'out_dir')
    if out_dir is not None and isinstance(out_dir.value, str):
        # nothing is made here
        folder = Path(out_dir.value).absolute()
        there = next(path for path in (folder, *folder.parents) if path.exists())
        can_hold = there.is_dir() and shutil.disk_usage(there).total  # 0 of /proc and the like
        if not can_hold or not os.access(there, os.W_OK):
            note = f'{out_dir.value!r}: {there} is no folder to write to'
            findings.add_setting('data_path', out_dir, note)


def _check_dataset(dataset: Mapping[str, Any], findings: Findings) -> None:
    root = setting(dataset, 'data_root')
    has_root = root is not None and isinstance(root.value, str)
    if has_root and not _is_folder(root, root.value, findings):
        return
    for name in ('img_dir', 'ann_dir', 'split', 'classes'):
        given = setting(dataset, name)
        if given is None or name == 'classes' and not isinstance(given.value, str):
            continue
        values = given.value if isinstance(given.value, (list, tuple)) else [given.value]
        for value in filter(lambda value: isinstance(value, str), values):
            path = osp.join(root.value, value) if has_root and name != 'classes' else value
            if name in ('img_dir', 'ann_dir'):
                _is_folder(given, path, findings)
            elif not osp.isfile(path):
                findings.add_setting('data_path', given, f'{path!r}: there is no such file')


def _is_folder(given: Setting, path: str, findings: Findings) -> bool:
    with collect_problems() as problems:
        check_folder(path, given.key, '')
    for problem in problems:
        findings.add_setting('data_path', given, f'{path!r}: {problem.note}')
    return not problems


def _check_weights(cfg: Config, findings: Findings) -> None:
    start = [setting(cfg._cfg_dict, name) for name in ('resume_from', 'load_from')]
    others = [setting(part(cfg, key), 'pretrained') for key in ('model', 'model.backbone')]
    start, others = (
        [given for given in found if given and given.value and not findings.block(given.key)]
        for found in (start, others)
    )
    for given in start[:1] or others:  # with weights to start from, the others are not read
        try:
            check_weights(given.value, given.key, checkpoint_folders(cfg))
        except (OSError, ValueError) as error:
            findings.add_setting('weights_path', given, one_line(error))
