"""Building data sets, models and training steps from configs, and checks that they agree."""

from __future__ import annotations

import copy
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import mindspore as ms
from mindspore import nn

from msseg.apis.train_settings import PrecisionSettings, StepSettings
from msseg.config import Config, required
from msseg.datasets import CustomDataset, build_dataset
from msseg.datasets.classes import check_class_names
from msseg.datasets.pipelines import Normalize, RGB2Gray
from msseg.models import SegmentorWithLoss, build_segmentor
from msseg.models.layers import use_low_precision
from msseg.registry import call_with_cfg
from msseg.runner import GradClip, TrainStep, build_optimizer
from msseg.runner.gradients import GradReducer
from msseg.runner.loss_scaler import build_loss_scaler
from msseg.utils.dist import get_world_size


def build_model(cfg: Config) -> nn.Cell:
    """Build a config's model, with random weights, in the precision of its training.

    Args:
        cfg: With ``model``; top-level ``train_cfg`` and ``test_cfg`` apply too, as in old
            MMSegmentation configs.
    """
    model = build_segmentor(required(cfg, 'model'), cfg.get('train_cfg'), cfg.get('test_cfg'))
    set_precision(model, PrecisionSettings.of(cfg))
    return model


def set_precision(model: nn.Cell, precision: PrecisionSettings) -> None:
    """Make a model compute in a precision; ValueError when the device cannot."""
    if precision.dtype != 'float32':
        use_low_precision(model, getattr(ms, precision.dtype))


def build_split(cfg: Config, split: str) -> CustomDataset:
    """Build the data set of a config for ``train``, ``val`` or ``test``."""
    test_mode = None if split == 'train' else {'test_mode': True}
    dataset = build_dataset(required(cfg, f'data.{split}'), test_mode)
    if getattr(dataset, 'CLASSES', None) is None:
        raise ValueError(
            f'data.{split}: {type(dataset).__name__}: the classes are unknown; give classes=[…], '
            'their names'
        )
    return dataset


def build_train_step(model: nn.Cell, settings: StepSettings) -> TrainStep:
    """Build the step that trains a model, whose precision is already set."""
    optimizer = build_optimizer(model, settings.optimizer)
    clip, scale = settings.grad_clip, settings.loss_scale
    return TrainStep(
        SegmentorWithLoss(model),
        optimizer,
        call_with_cfg(GradClip, clip, 'optimizer_config.grad_clip') if clip else None,
        build_loss_scaler(scale) if scale is not None else None,
        settings.cumulative_iters,
        GradReducer(optimizer.parameters) if get_world_size() > 1 else None,
        settings.skip_nonfinite,
    )


def check_fit(model: nn.Cell, dataset: CustomDataset) -> None:
    """Raise ValueError unless a model and a training set agree."""
    check_classes(model, dataset)
    check_ignore_index(model, dataset)
    check_channels(model, dataset)


def check_classes(model: nn.Cell, dataset: CustomDataset) -> None:
    """Raise ValueError unless every head of the labels' classes has as many as the data set."""
    for name in ('CLASSES', 'PALETTE'):
        if not hasattr(dataset, name):
            raise TypeError(
                f'the data set {type(dataset).__name__} has no {name}: derive it from '
                'CustomDataset, or give it CLASSES (the names) and PALETTE (RGB colours, or None)'
            )
    check_class_names(dataset.CLASSES, type(dataset).__name__)
    num_classes = len(dataset.CLASSES)
    for name, head in model.heads:
        if head.num_classes != num_classes and not getattr(head, 'has_own_target', False):
            raise ValueError(
                f'model: head {name!r} has num_classes={head.num_classes}, but the data set '
                f'{type(dataset).__name__} has {num_classes} classes {tuple(dataset.CLASSES)}: '
                f'set num_classes={num_classes} in every head'
            )


def check_channels(model: nn.Cell, dataset: Any) -> None:
    """Raise ValueError when a data set normalises images of other channels than the model's.

    The channels are unknown before an image is loaded when the pipeline has no Normalize, or a
    user's transform or RGB2Gray after it.
    """
    steps = _steps_of(dataset)
    while hasattr(dataset, 'datasets') or hasattr(dataset, 'dataset'):
        dataset = dataset.datasets[0] if hasattr(dataset, 'datasets') else dataset.dataset
        steps = _steps_of(dataset) + steps
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


def _steps_of(dataset: Any) -> list:
    return list(getattr(getattr(dataset, 'pipeline', None), 'transforms', ()))


def check_ignore_index(model: nn.Cell, dataset: CustomDataset) -> None:
    """Raise ValueError unless heads and losses ignore the same label value as the data set.

    A loss may have the index of a class as its ``ignore_index``.
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
    """Return the settings and the user's modules that compiled graphs may depend on, as text."""
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


def inner_datasets(node: Any) -> Iterator[dict]:
    """Yield the configs of the data sets inside lists and wrappers."""
    if isinstance(node, (list, tuple)):
        for child in node:
            yield from inner_datasets(child)
        return
    inside = node.get('datasets') or node.get('dataset')
    if isinstance(inside, (Mapping, list, tuple)):
        yield from inner_datasets(inside)
    else:
        yield node


def eval_pipeline(cfg: Config) -> list[dict]:
    """Return a config's test pipeline; of several test sets the first one's."""
    steps = next(inner_datasets(required(cfg, 'data.test'))).get('pipeline')
    if not steps:
        raise ValueError(
            f'config {cfg.filename!r}: data.test.pipeline is {steps!r}, expected the transforms of '
            'a test image, beginning with LoadImageFromFile'
        )
    return list(steps)
