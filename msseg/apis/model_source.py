"""Search for the config, the checkpoint and the initial weights that a user names."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mindspore import nn

from msseg.apis.architecture import check_architecture
from msseg.apis.config_schema import load_config, prepare_config
from msseg.apis.train_settings import StartSettings, checkpoint_folders
from msseg.config import Config, ConfigDict
from msseg.config.config_dict import set_file
from msseg.config.find_base import is_config
from msseg.config.reader import Loaded
from msseg.config.writer import read_literals
from msseg.runner import load_checkpoint, load_weights
from msseg.runner.checkpoint import load_meta
from msseg.runner.find_checkpoint import resolve_checkpoint
from msseg.utils.logging import get_logger
from msseg.utils.shown import shown
from msseg.weights import (
    downloads_allowed,
    find_file,
    hint_at_original,
    is_address,
    parse_source,
)

# the settings that training does without
_STARTS = ('load_from', 'model.pretrained', 'model.backbone.pretrained')


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
        checkpoint: See `resolve_checkpoint`, or an address or a name of the catalogue of weights;
            None for a config alone.
        cfg_options: Settings by dotted key that replace the config's.
        work_dir: Where to look for ``latest`` and ``best`` before the config's own work dir.
    """
    if isinstance(config, Config):
        if cfg_options:
            config.merge_from_dict(cfg_options)
    elif config is None or isinstance(config, (str, Path)):
        if checkpoint is None and config is not None and not is_config(config):
            config, checkpoint = None, config
        if config is None and checkpoint is None:
            raise TypeError('neither a config nor a checkpoint is given, expected one of them')
        if config is None:
            if is_address(checkpoint):
                path = find_file(checkpoint, 'checkpoint')
            else:
                path = resolve_checkpoint(checkpoint, [work_dir] if work_dir else [])
            return stored_config(path, cfg_options), path
        if checkpoint is not None and is_config(checkpoint) and not is_config(config):
            raise ValueError(f'the config comes first: {str(checkpoint)!r}, {str(config)!r}')
        config = load_config(str(config), cfg_options)
    else:
        raise TypeError(
            f'config is {config!r} ({type(config).__name__}), expected the path of a config file '
            'or of a checkpoint, or what load_config gives'
        )
    return config, None if checkpoint is None else find_checkpoint(config, checkpoint, work_dir)


def find_checkpoint(
    cfg: Config, checkpoint: str | Path, work_dir: str | Path | None = None
) -> Path:
    """Return the file of a checkpoint; ``latest`` and ``best`` are those of the config's work dir.

    Args:
        cfg: The config.
        checkpoint: See `find_model`.
        work_dir: Where to look first.
    """
    if is_address(checkpoint):
        return find_file(checkpoint, 'checkpoint')
    return resolve_checkpoint(checkpoint, checkpoint_folders(cfg, work_dir))


def stored_config(path: Path, cfg_options: Mapping[str, Any] | None = None) -> Config:
    """Return the config in a checkpoint, of msseg or MMSegmentation.

    Its work dir is the checkpoint's folder. The file may come from a stranger, so its text is read
    as data and no module is imported for it: ``type`` names registered components only.
    """
    advice = 'give the config file as well, before the checkpoint'
    text = load_meta(path).get('config')
    if not isinstance(text, str) or not text.strip():
        raise ValueError(f'checkpoint {str(path)!r} holds no config: {advice}')
    where = f'the config in {path}'
    values = ConfigDict(read_literals(text, where))
    set_file(values, where)
    loaded = Loaded(values).translated()
    cfg = Config(loaded.values, text, path, loaded.report)
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


def load_initial_weights(model: nn.Cell, start: StartSettings) -> None:
    """Load ``load_from``, else the model's ``pretrained``, else nothing."""
    if start.load_from:
        path = find_weights(start.load_from, 'load_from', start.folders)
        part = ''
    else:
        source, part = _find_pretrained(model)
        if source is None:
            get_logger().info('training starts from random weights')
            return
        path = find_weights(source, 'model.pretrained')
    checkpoint = load_checkpoint(path).as_evaluated()
    check_architecture(checkpoint, start.model, part, strict=False)
    load_weights(model, checkpoint, False, part, start.allow_partial_backbone, start.first_conv)


def _find_pretrained(model: nn.Cell) -> tuple[str | None, str]:
    """Return the first ``pretrained`` of a model's cells, and the prefix of the names it is for."""
    for name, cell in model.cells_and_names():
        if source := getattr(cell, 'pretrained', None):
            return source, f'{name or "backbone"}.'
    return None, ''


def use_local_weights(cfg: Config, find: Callable[[str], str | None]) -> None:
    """Replace the names of checkpoints in a config by those of their copies on this machine."""
    model = cfg.get('model') or {}
    backbone = model.get('backbone') or {}
    pairs = ((cfg, 'load_from'), (cfg, 'resume_from'), (model, 'pretrained'),
             (backbone, 'pretrained'))  # fmt: skip
    for node, key in pairs:
        if node.get(key) is not None:
            node[key] = find(node[key])


def find_weights(
    source: str | Path,
    key: str,
    folders: Sequence[str | Path] = (),
    may_fetch: bool | None = None,
) -> Path:
    """Return the file for a path, a work dir, an address or a name of the catalogue of weights.

    Args:
        source: Such as ``'weights.pth'``, ``'https://…/x.pth'``, ``'open-mmlab://msra/hrnetv2_w18'``.
        key: The key of the setting, for messages.
        folders: Where to search for ``latest`` and ``best``.
        may_fetch: See `msseg.weights.find_file`: nothing is fetched unless the user says so.
    """
    from_scratch = f'train from scratch deliberately with {key}=None' if key in _STARTS else ''
    if is_address(source):
        return find_file(source, key, may_fetch, from_scratch)
    try:
        return resolve_checkpoint(source, folders)
    except FileNotFoundError as error:
        known = f'; {hint}' if (hint := hint_at_original(source)) else ''
        or_else = f'; or {from_scratch}' if from_scratch else ''
        raise FileNotFoundError(f'{key}: {error}{known}{or_else}') from error


def check_weights(source: str | Path, key: str, folders: Sequence[str | Path] = ()) -> None:
    """Raise what `find_weights` would raise, and fetch nothing: what will be fetched is there."""
    if is_address(source) and downloads_allowed():
        parse_source(source, key)
    else:
        find_weights(source, key, folders, may_fetch=False)
