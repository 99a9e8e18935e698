"""Search for the config, the checkpoint and the initial weights that a user names."""

from __future__ import annotations

import os
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
from msseg.utils.errors import check_one_of
from msseg.utils.logging import get_logger
from msseg.utils.shown import shown

# MMCV's names of ImageNet backbones and their files, which carry their hash.
_FOLDERS = {
    'open-mmlab://': 'https://download.openmmlab.com/pretrain/third_party/',
    'torchvision://': 'https://download.pytorch.org/models/',
    'mmcls://': 'https://download.openmmlab.com/mmclassification/v0/',
}
_FILES = {
    'open-mmlab://msra/hrnetv2_w18_small': 'hrnetv2_w18_small-b5a04e21.pth',
    'open-mmlab://msra/hrnetv2_w18': 'hrnetv2_w18-00eb2006.pth',
    'open-mmlab://msra/hrnetv2_w32': 'hrnetv2_w32-dc9eeb4f.pth',
    'open-mmlab://msra/hrnetv2_w40': 'hrnetv2_w40-ed0b031c.pth',
    'open-mmlab://msra/hrnetv2_w48': 'hrnetv2_w48-d2186c55.pth',
    'open-mmlab://resnet18_v1c': 'resnet18_v1c-b5776b93.pth',
    'open-mmlab://resnet50_v1c': 'resnet50_v1c-2cccc1ad.pth',
    'open-mmlab://resnet101_v1c': 'resnet101_v1c-e67eebb6.pth',
    'open-mmlab://resnext50_32x4d': 'resnext50-32x4d-0ab1a123.pth',
    'open-mmlab://resnext101_32x4d': 'resnext101_32x4d-a5af3160.pth',
    'open-mmlab://resnext101_64x4d': 'resnext101_64x4d-ee2c6f71.pth',
    'open-mmlab://resnest50': 'resnest50_d2-7497a55b.pth',
    'open-mmlab://resnest101': 'resnest101_d2-f3b931b2.pth',
    'open-mmlab://resnest200': 'resnest200_d2-ca88e41f.pth',
    'open-mmlab://contrib/mobilenet_v3_large': 'mobilenet_v3_large-bc2c3fd3.pth',
    'open-mmlab://contrib/mobilenet_v3_small': 'mobilenet_v3_small-47085aa1.pth',
    'torchvision://resnet18': 'resnet18-f37072fd.pth',
    'torchvision://resnet34': 'resnet34-b627a593.pth',
    'torchvision://resnet50': 'resnet50-0676ba61.pth',
    'torchvision://resnet101': 'resnet101-63fe2227.pth',
    'torchvision://resnet152': 'resnet152-394f9c45.pth',
    'mmcls://mobilenet_v2': 'mobilenet_v2/mobilenet_v2_batch256_imagenet_20200708-3b2dc3af.pth',
}


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
        checkpoint: See `resolve_checkpoint`.
        work_dir: Where to look first.
    """
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
    load_weights(model, checkpoint, False, part, start.allow_partial_backbone)


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


def msseg_home() -> Path:
    """Return the folder of downloaded weights: ``$MSSEG_HOME``, or ``~/.cache/msseg``."""
    return Path(os.environ.get('MSSEG_HOME') or Path.home() / '.cache' / 'msseg')


def find_weights(source: str, key: str, folders: Sequence[str | Path] = ()) -> Path:
    """Return the file for a path, a work dir, an address or a name of MMCV's model zoo.

    Nothing is downloaded: the file of an address is searched in `msseg_home`, also as the ``.ckpt``
    that it was converted to.

    Args:
        source: Such as ``'weights.pth'``, ``'https://…/x.pth'``, ``'open-mmlab://msra/hrnetv2_w18'``.
        key: The key of the setting, for messages.
        folders: Where to search for ``latest`` and ``best``.
    """
    from_scratch = f'train from scratch deliberately with {key}=None'
    address = _address_of(str(source), key)
    if address is None:
        try:
            return resolve_checkpoint(source, folders)
        except FileNotFoundError as error:
            raise FileNotFoundError(f'{key}: {error}; or {from_scratch}') from error
    path = msseg_home() / address.rpartition('/')[2]
    for candidate in (path, path.with_suffix('.ckpt')):
        if candidate.is_file():
            return candidate
    raise FileNotFoundError(
        f'{key} is {str(source)!r}, whose file is not on this machine: get it from {address} and '
        f'put it to {str(path)!r}, or {from_scratch}'
    )


def _address_of(source: str, key: str) -> str | None:
    if source.startswith(('http://', 'https://')):
        return source.partition('?')[0]
    for scheme, folder in _FOLDERS.items():
        if source.startswith(scheme):
            check_one_of(key, source, [name for name in _FILES if name.startswith(scheme)])
            return folder + _FILES[source]
    if '://' in source:
        raise ValueError(
            f'{key} is {source!r}: names that start with {source.partition("://")[0]!r} are not '
            'known; give the path of a file'
        )
    return None
