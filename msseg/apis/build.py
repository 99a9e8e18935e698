"""From a config to a checked data set and model."""

from __future__ import annotations

from mindspore import nn

from msseg.config import Config
from msseg.datasets import CustomDataset, build_dataset
from msseg.models import build_segmentor


def build_model(cfg: Config) -> nn.Cell:
    """Build a config's model, with random weights.

    Args:
        cfg: With ``model``; top-level ``train_cfg`` and ``test_cfg`` are taken too, as old
            MMSegmentation configs have them.
    """
    if 'model' not in cfg:
        raise KeyError(f"config {cfg.filename!r} has no 'model': there is nothing to train or test")
    return build_segmentor(cfg.model, cfg.get('train_cfg'), cfg.get('test_cfg'))


def build_split(cfg: Config, split: str) -> CustomDataset:
    """Build one data set of a config.

    Args:
        cfg: With ``data``.
        split: ``train``, ``val`` or ``test``.

    Raises:
        KeyError: The config does not say it.
    """
    if split not in cfg.get('data', {}):
        raise KeyError(f"config {cfg.filename!r} has no 'data.{split}': there are no images to use")
    test_mode = {} if split == 'train' else {'test_mode': True}
    return build_dataset(cfg.data[split], test_mode or None)


def check_classes(model: nn.Cell, dataset: CustomDataset) -> None:
    """Raise ValueError unless every head has as many classes as the data set."""
    num_classes = len(dataset.CLASSES)
    for name, head in model.heads:
        if head.num_classes != num_classes:
            raise ValueError(
                f'model: head {name!r} has num_classes={head.num_classes}, but the data set '
                f'{type(dataset).__name__} has {num_classes} classes {tuple(dataset.CLASSES)}: '
                f'set num_classes={num_classes} in every head'
            )
