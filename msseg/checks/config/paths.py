"""Whether the files are there that a config names."""

from __future__ import annotations

import os
import os.path as osp
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from msseg.apis.pretrained import find_weights
from msseg.apis.settings import SPLITS, Setting, dataset_nodes, part, setting
from msseg.checks.config.finding import Findings
from msseg.config import Config
from msseg.datasets.file_lists import check_folder
from msseg.utils.cli import one_line


def check_paths(cfg: Config, findings: Findings) -> None:
    """Look for folders and lists of the data sets, and for the weights to start from."""
    for split in SPLITS:
        for dataset in dataset_nodes(cfg, split):
            _check_dataset(dataset, findings)
    _check_weights(cfg, findings)
    out_dir = setting(part(cfg, 'checkpoint_config'), 'out_dir')
    if out_dir is not None and isinstance(out_dir.value, str):
        _check_writable(out_dir, findings)


def _check_dataset(dataset: Mapping[str, Any], findings: Findings) -> None:
    root = setting(dataset, 'data_root')
    if root is not None and isinstance(root.value, str):
        if not _is_folder(root, root.value, findings):
            return
    else:
        root = None
    for name in ('img_dir', 'ann_dir', 'split', 'classes'):
        said = setting(dataset, name)
        values = said.value if said is not None else None
        if name == 'classes' and not isinstance(values, str):
            continue
        for value in values if isinstance(values, (list, tuple)) else [values]:
            if not isinstance(value, str):
                continue
            path = value if root is None or name == 'classes' else osp.join(root.value, value)
            if name in ('split', 'classes'):
                if not osp.isfile(path):
                    findings.add('data_path', said, f'{path!r}: there is no such file')
            else:
                _is_folder(said, path, findings)


def _is_folder(said: Setting, path: str, findings: Findings) -> bool:
    name = said.key.rpartition('.')[2]
    try:
        check_folder(path, name, '')
    except FileNotFoundError as error:
        text = one_line(error).removeprefix(f': {name}=')
        findings.add('data_path', said, text.removesuffix(f' Correct data_root or {name}'))
        return False
    return True


def _check_writable(said: Setting, findings: Findings) -> None:
    """Note a folder that can neither be written nor be made; nothing is made here."""
    folder = Path(said.value).absolute()
    there = next(place for place in (folder, *folder.parents) if place.exists())
    can_hold = there.is_dir() and shutil.disk_usage(there).total  # of /proc and the like it is 0
    if not can_hold or not os.access(there, os.W_OK):
        findings.add('data_path', said, f'{str(said.value)!r}: {there} is no folder to write to')


def _check_weights(cfg: Config, findings: Findings) -> None:
    for name in ('resume_from', 'load_from'):
        said = setting(cfg._cfg_dict, name)
        if said is not None and said.value and not findings.hinders(name):
            _find(said, cfg, findings)
            return  # the others are then not read
    for key in ('model', 'model.backbone'):
        said = setting(part(cfg, key), 'pretrained')
        if said is not None and said.value and not findings.hinders(said.key):
            _find(said, cfg, findings)


def _find(said: Setting, cfg: Config, findings: Findings) -> None:
    try:
        find_weights(said.value, said.key, cfg)
    except (OSError, ValueError) as error:
        findings.add('weights_path', said, one_line(error))
