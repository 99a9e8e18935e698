"""The registries of data sets and transforms, and what builds from them."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

from msseg.registry import Registry, build_from_cfg
from msseg.utils.renamed_methods import OF_DATASETS, OF_TRANSFORMS, check_methods

DATASETS = Registry('dataset', check_methods(OF_DATASETS))
PIPELINES = Registry('pipeline', check_methods(OF_TRANSFORMS))

_PER_FOLDER = ('img_dir', 'ann_dir', 'split')


def build_dataset(cfg: dict | Sequence[dict], default_args: dict | None = None) -> Any:
    """Build a data set from its config.

    A list of configs, or a config whose `img_dir`, `ann_dir` or `split` is a list, gives a
    `ConcatDataset`; other arguments, `num_samples` among them, then hold for each part.

    Args:
        cfg: One config or a list of them. It is not changed.
        default_args: Arguments for those that `cfg` does not give.

    Returns:
        The data set.

    Raises:
        ValueError: Lists of `img_dir`, `ann_dir` and `split` of unequal length.
        TypeError, KeyError: As `build_from_cfg`.

    Source: MMSegmentation 0.30 ``mmseg.datasets.build_dataset``.
    """
    from msseg.datasets.dataset_wrappers import ConcatDataset, RepeatDataset

    if isinstance(cfg, (list, tuple)):
        return ConcatDataset([build_dataset(part, default_args) for part in cfg])
    if isinstance(cfg, dict) and _is_wrapper(cfg, RepeatDataset):
        return _build_wrapper(cfg, 'dataset', build_dataset(cfg['dataset'], default_args))
    if isinstance(cfg, dict) and _is_wrapper(cfg, ConcatDataset):
        parts = [build_dataset(part, default_args) for part in cfg['datasets']]
        return _build_wrapper(cfg, 'datasets', parts)
    if isinstance(cfg, dict) and any(isinstance(cfg.get(k), (list, tuple)) for k in _PER_FOLDER):
        return _concat_folders(cfg, default_args)
    return build_from_cfg(cfg, DATASETS, default_args)


def build_dataloader(
    dataset: Any,
    samples_per_gpu: int = 1,
    workers_per_gpu: int = 0,
    seed: int = 0,
    shuffle: bool = True,
    rank: int = 0,
    world_size: int = 1,
    test_mode: bool | None = None,
    worker_timeout: float | None = None,
) -> Any:
    """Build the loader of a data set.

    Args:
        dataset: A data set.
        samples_per_gpu: Samples in a device's batch (training only).
        workers_per_gpu: Worker processes; 0 loads in this process.
        seed: Seed of order and augmentation (training only).
        shuffle: A new order each epoch (training only).
        rank: This process's number.
        world_size: Number of processes.
        test_mode: True for a `EvalLoader`; by default the data set's own `test_mode`.
        worker_timeout: See the loaders, whose default holds when it is None.

    Returns:
        A `TrainLoader` or a `EvalLoader`.
    """
    from msseg.datasets.eval_loader import EvalLoader
    from msseg.datasets.train_loader import TrainLoader

    if test_mode is None:
        test_mode = getattr(dataset, 'test_mode', False)
    options = {'workers_per_gpu': workers_per_gpu, 'rank': rank, 'world_size': world_size}
    if worker_timeout is not None:
        options['worker_timeout'] = worker_timeout
    if test_mode:
        return EvalLoader(dataset, **options)
    return TrainLoader(dataset, samples_per_gpu, seed=seed, shuffle=shuffle, **options)


def _is_wrapper(cfg: dict, wrapper: type) -> bool:
    return cfg.get('type') in (wrapper, wrapper.__name__)


def _build_wrapper(cfg: dict, key: str, inner: Any) -> Any:
    wrapped = copy.copy(cfg)
    wrapped[key] = inner
    return build_from_cfg(wrapped, DATASETS)


def _concat_folders(cfg: dict, default_args: dict | None) -> Any:
    from msseg.datasets.dataset_wrappers import ConcatDataset

    lists = {k: cfg[k] for k in _PER_FOLDER if isinstance(cfg.get(k), (list, tuple))}
    lengths = {k: len(v) for k, v in lists.items()}
    if len(set(lengths.values())) > 1:
        raise ValueError(
            f'{cfg.get("type")}: img_dir, ann_dir and split given as lists must be equally long, '
            f'but got lengths {lengths}'
        )
    if 'ann_dir' in lists and len(lists) == 1 and len(lists['ann_dir']) > 1:
        raise ValueError(
            f'{cfg.get("type")}: ann_dir={list(lists["ann_dir"])!r} is a list, but img_dir is the '
            f'one folder {cfg.get("img_dir")!r}; give one img_dir for each ann_dir'
        )
    parts = []
    for i in range(next(iter(lengths.values()))):
        part = copy.copy(cfg)
        part.pop('separate_eval', None)
        for key, values in lists.items():
            part[key] = values[i]
        parts.append(build_dataset(part, default_args))
    return ConcatDataset(parts, separate_eval=cfg.get('separate_eval', True))
