"""Which config and which checkpoint a user means: a checkpoint holds its config."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from msseg.apis.config_schema import load_config, prepare_config
from msseg.config import Config, ConfigDict
from msseg.config.config_dict import set_file
from msseg.config.reader import FORMATS
from msseg.config.writer import read_literals
from msseg.runner.checkpoint import load_meta
from msseg.runner.find_checkpoint import resolve_checkpoint
from msseg.utils.shown import shown
from msseg.utils.upstream import refuse_1x


def find_model(
    config: str | Path | Config | None,
    checkpoint: str | Path | None = None,
    cfg_options: Mapping[str, Any] | None = None,
    work_dir: str | Path | None = None,
) -> tuple[Config, Path | None]:
    """Return the config and the checkpoint file that a user names.

    Args:
        config: A config file or a config. None, or a name without a config file's ending in place
            of `checkpoint`: the config is read from the checkpoint, as data.
        checkpoint: See `resolve_checkpoint`; None for a config alone.
        cfg_options: Settings by dotted key that replace the config's.
        work_dir: Where to look for ``latest`` and ``best`` before the config's own work dir.

    Raises:
        TypeError: `config` is of a wrong kind, or neither is given.
        FileNotFoundError, KeyError, ValueError: See `load_config`, `resolve_checkpoint` and
            `stored_config`.
    """
    if isinstance(config, Config):
        if cfg_options:
            config.merge_from_dict(cfg_options)
    elif config is None or isinstance(config, (str, Path)):
        if checkpoint is None and config is not None and not is_config_file(config):
            config, checkpoint = None, config
        if config is None and checkpoint is None:
            raise TypeError('neither a config nor a checkpoint is given, expected one of them')
        if config is None:
            path = resolve_checkpoint(checkpoint, [work_dir] if work_dir else [])
            return stored_config(path, cfg_options), path
        if checkpoint is not None and is_config_file(checkpoint) and not is_config_file(config):
            raise ValueError(f'the config comes first: {str(checkpoint)!r}, {str(config)!r}')
        config = load_config(str(config), cfg_options)
    else:
        raise TypeError(
            f'config is {config!r} ({type(config).__name__}), expected the path of a config file '
            'or of a checkpoint, or what load_config gives'
        )
    return config, None if checkpoint is None else find_checkpoint(config, checkpoint, work_dir)


def is_config_file(name: str | Path) -> bool:
    """Whether a name has a config file's ending."""
    return Path(name).suffix in FORMATS


def find_checkpoint(
    cfg: Config, checkpoint: str | Path, work_dir: str | Path | None = None
) -> Path:
    """Return the file of a checkpoint; ``latest`` and ``best`` are those of the config's work dir.

    Args:
        cfg: The config.
        checkpoint: See `resolve_checkpoint`.
        work_dir: Where to look first.
    """
    folders = [work_dir, work_dir_of(cfg), (cfg.get('checkpoint_config') or {}).get('out_dir')]
    return resolve_checkpoint(checkpoint, [folder for folder in folders if folder])


def work_dir_of(cfg: Config) -> Path | None:
    """Return a config's work dir: its ``work_dir``, else ``work_dirs/{config's name}``."""
    if cfg.get('work_dir'):
        return Path(cfg.work_dir)
    return Path('work_dirs') / Path(cfg.filename).stem if cfg.filename else None


def stored_config(path: Path, cfg_options: Mapping[str, Any] | None = None) -> Config:
    """Return the config that a checkpoint holds; its work dir is the checkpoint's folder.

    The file may come from elsewhere, so its text is read as data and no module is imported for it:
    ``type`` names what is registered.

    Args:
        path: The checkpoint, of msseg or of MMSegmentation 0.x.
        cfg_options: Settings by dotted key that replace the config's.

    Raises:
        ValueError: It holds none, or one that is no plain data or needs modules of its own.
    """
    advice = 'give the config file as well, before the checkpoint'
    text = load_meta(path).get('config')
    if not isinstance(text, str) or not text.strip():
        raise ValueError(f'checkpoint {str(path)!r} holds no config: {advice}')
    where = f'the config in {path}'
    values = ConfigDict(read_literals(text, where))
    refuse_1x(values, where)
    set_file(values, where)
    cfg = Config(values, cfg_text=text, filename=path)
    cfg.work_dir = str(path.parent)
    custom = cfg.get('custom_imports') or {}
    names = custom.get('imports') if isinstance(custom, Mapping) else custom
    names = [names] if isinstance(names, str) else names or []
    if not isinstance(names, (list, tuple)):
        raise ValueError(f'{where}: custom_imports is {shown(names)}, expected names of modules')
    missing = [name for name in names if str(name) not in sys.modules]
    if missing:
        raise ValueError(
            f'{where} needs modules of its own ({", ".join(map(str, missing))}), which are not '
            f'imported on the word of a checkpoint: {advice}'
        )
    cfg.pop('custom_imports', None)
    return prepare_config(cfg, cfg_options)
