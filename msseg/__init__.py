"""Semantic segmentation on MindSpore, in MMSegmentation's mould.

Importing this takes no time: MindSpore is imported by the first function that needs it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msseg.renamed_modules import install
from msseg.version import __version__

if TYPE_CHECKING:
    from msseg.config import Config
    from msseg.prediction.model import Model
    from msseg.runner import Runner

install()

__all__ = ['__version__', 'list_models', 'load', 'train']


def list_models(pattern: str = '*') -> list[str]:
    """Return the names of the configs that come with msseg; see `msseg.config.own_configs`.

    Args:
        pattern: A part of the names, or a pattern such as ``'ocr*'``; ``'unet/*'`` is a family.
    """
    from msseg.config.own_configs import list_configs

    return list_configs(pattern)


def load(source: str | Path | Config, weights: str | Path | None = None, **options: Any) -> Model:
    """Load a model that labels images; see `msseg.prediction.model.load`.

    Args:
        source: The name of a config, a config file, a config, a checkpoint, or a work dir.
        weights: With a config, its checkpoint, or a name of ``msseg weights list``.
        options: ``device``, ``cfg_options``, ``tile``, ``overlap`` and ``download``.

    Example::

        model = msseg.load('ocrnet_nuclei', weights='work_dirs/ocrnet_nuclei')
        result = model('cells.png')
    """
    from msseg.prediction.model import load

    return load(source, weights, **options)


def train(
    config: str | Path | Config,
    cfg_options: Mapping[str, Any] | None = None,
    work_dir: str | Path | None = None,
    **options: Any,
) -> Runner:
    """Train, evaluate and save as a config specifies, with the checks of ``msseg train``.

    Args:
        config: A config file, the name of a config, or a config.
        cfg_options: Settings by dotted key that replace the config's.
        work_dir: Folder for logs and checkpoints; by default ``work_dirs/{config's name}``.
        options: More of `msseg.apis.train_from_config`: ``device``, ``seed``, ``auto_resume`` and
            so on.

    Returns:
        The runner, after training; its ``work_dir`` can be given to `load`.

    Example::

        run = msseg.train('ocrnet_nuclei', {'runner.max_iters': 100}, work_dir='first')
        model = msseg.load(run.work_dir)
    """
    from msseg.apis import load_config, train_from_config
    from msseg.apis.model_source import find_model
    from msseg.checks.start import check_before_training

    if isinstance(config, (str, Path)):
        cfg = load_config(str(config), cfg_options)
    else:
        cfg, _ = find_model(config, cfg_options=cfg_options)
    options = {'start_check': check_before_training, **options}
    return train_from_config(cfg, work_dir, **options)
