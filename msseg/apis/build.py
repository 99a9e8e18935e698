"""From a config to a checked data set and model."""

from __future__ import annotations

import copy
import sys
from pathlib import Path
from typing import Any

from mindspore import nn

from msseg.apis.precision import set_precision
from msseg.config import Config, required
from msseg.datasets import CustomDataset, build_dataset
from msseg.datasets.classes import check_class_names
from msseg.datasets.pipelines import Normalize, RGB2Gray
from msseg.datasets.worker_pool import WORKER_TIMEOUT_S
from msseg.models import build_segmentor


def build_model(cfg: Config) -> nn.Cell:
    """Build a config's model, with random weights, in the precision that it trains in.

    Args:
        cfg: With ``model``; top-level ``train_cfg`` and ``test_cfg`` are taken too, as old
            MMSegmentation configs have them.
    """
    model = build_segmentor(required(cfg, 'model'), cfg.get('train_cfg'), cfg.get('test_cfg'))
    set_precision(model, cfg)
    return model


def build_split(cfg: Config, split: str) -> CustomDataset:
    """Build one data set of a config.

    Args:
        cfg: With ``data``.
        split: ``train``, ``val`` or ``test``.

    Raises:
        KeyError: The config does not say it.
        ValueError: Its classes are unknown.
    """
    test_mode = None if split == 'train' else {'test_mode': True}
    dataset = build_dataset(required(cfg, f'data.{split}'), test_mode)
    if getattr(dataset, 'CLASSES', None) is None:
        raise ValueError(
            f'data.{split}: {type(dataset).__name__}: the classes are unknown; give classes=[…], '
            'their names'
        )
    return dataset


def loader_options(cfg: Config, split: str) -> dict[str, Any]:
    """Return the options of a split's loader: those of ``data``, then ``data.{split}_dataloader``.

    Evaluation always takes one image at a time and all of them in order, so ``val`` and ``test``
    have ``workers_per_gpu`` and ``worker_timeout`` only.
    """
    data = required(cfg, 'data')
    options = {**data, **data.get(f'{split}_dataloader', {})}
    defaults = {
        'samples_per_gpu': 1,
        'workers_per_gpu': 0,
        'worker_timeout': WORKER_TIMEOUT_S,
        'shuffle': True,
    }
    names = defaults if split == 'train' else ('workers_per_gpu', 'worker_timeout')
    return {name: options.get(name, defaults[name]) for name in names}


def check_classes(model: nn.Cell, dataset: CustomDataset) -> None:
    """Raise ValueError unless every head has as many classes as the data set.

    Raises:
        TypeError: A data set that is not derived from `CustomDataset` lacks names or colours.
    """
    for name in ('CLASSES', 'PALETTE'):
        if not hasattr(dataset, name):
            raise TypeError(
                f'the data set {type(dataset).__name__} has no {name}: derive it from '
                'CustomDataset, or give it CLASSES (the names) and PALETTE (RGB colours, or None)'
            )
    check_class_names(dataset.CLASSES, type(dataset).__name__)
    num_classes = len(dataset.CLASSES)
    for name, head in model.heads:
        if head.num_classes != num_classes:
            raise ValueError(
                f'model: head {name!r} has num_classes={head.num_classes}, but the data set '
                f'{type(dataset).__name__} has {num_classes} classes {tuple(dataset.CLASSES)}: '
                f'set num_classes={num_classes} in every head'
            )


def check_channels(model: nn.Cell, dataset: Any) -> None:
    """Raise ValueError when a data set's images are normalised for other channels than the model's.

    What a pipeline without Normalize gives, or one with transforms of a user's own or RGB2Gray
    after it, is not known before an image is loaded.
    """
    while hasattr(dataset, 'datasets') or hasattr(dataset, 'dataset'):
        dataset = dataset.datasets[0] if hasattr(dataset, 'datasets') else dataset.dataset
    steps = list(getattr(getattr(dataset, 'pipeline', None), 'transforms', ()))
    while steps and not isinstance(steps[0], Normalize):
        del steps[0]
    own = type(steps[0]).__module__.rpartition('.')[0] if steps else ''
    keep_channels = all(
        type(step).__module__.startswith(own) and not isinstance(step, RGB2Gray) for step in steps
    )
    if steps and keep_channels and len(steps[0].mean) != model.in_channels:
        raise ValueError(
            f'the data set normalises images of {len(steps[0].mean)} channels, but the network '
            f'takes {model.in_channels} (in_channels of the backbone): let color_type of '
            'LoadImageFromFile, mean and std of Normalize and in_channels agree'
        )


def check_ignore_index(model: nn.Cell, dataset: CustomDataset) -> None:
    """Raise ValueError unless heads and losses leave out the label value that the data set does.

    Of a loss that has an ``ignore_index`` of its own it may also be a class.
    """
    expected = getattr(dataset, 'ignore_index', None)
    for name, head in model.heads if expected is not None else ():
        own = {f'head {name!r}': getattr(head, 'ignore_index', expected)}
        for loss in getattr(head, 'loss_decode', ()):
            value = getattr(loss, 'ignore_index', None)
            if value is not None and not 0 <= value < head.num_classes:
                own[f'{type(loss).__name__} of head {name!r}'] = value
        for who, value in own.items():
            if value != expected:
                raise ValueError(
                    f'model: {who} has ignore_index={value}, but the data set '
                    f'{type(dataset).__name__} has {expected}: pixels that one leaves out would '
                    f'count for the other; set ignore_index={expected} there'
                )


def graph_settings(cfg: Config) -> str:
    """Return, as text, what compiled graphs may depend on: settings and a user's modules."""
    settings = copy.deepcopy(cfg._cfg_dict.to_dict())
    for key in ('work_dir', 'load_from', 'resume_from', 'seed', 'log_config', 'checkpoint_config'):
        settings.pop(key, None)
    for key in ('workers_per_gpu', 'worker_timeout'):
        (settings.get('data') or {}).pop(key, None)
    imports = (cfg.get('custom_imports') or {}).get('imports') or []
    names = [imports] if isinstance(imports, str) else imports
    files = [getattr(sys.modules.get(name), '__file__', None) for name in names]
    return '\n'.join(
        [repr(settings), *(Path(file).read_text(errors='replace') for file in files if file)]
    )
