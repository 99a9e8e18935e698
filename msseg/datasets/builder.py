"""The registries of data sets and transforms, and the functions that build from them."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

from msseg.registry import Registry, build_from_cfg
from msseg.utils.upstream import OF_DATASETS, OF_TRANSFORMS, check_methods

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

    Examples:
        >>> import tempfile
        >>> from PIL import Image
        >>> root = tempfile.mkdtemp()
        >>> Image.new('RGB', (8, 6)).save(f'{root}/cells.jpg')
        >>> images = dict(type='NucleiDataset', img_dir=root, pipeline=[])
        >>> len(build_dataset(images)), len(build_dataset([images, images]))
        (1, 2)
    """
    if isinstance(cfg, (list, tuple)):
        return _concat([build_dataset(part, default_args) for part in cfg])
    if isinstance(cfg, dict):
        name = getattr(cfg.get('type'), '__name__', cfg.get('type'))
        if name in ('RepeatDataset', 'ClassBalancedDataset', 'MultiImageMixDataset'):
            return _build_wrapper(cfg, 'dataset', build_dataset(cfg['dataset'], default_args))
        if name == 'ConcatDataset':
            parts = [build_dataset(part, default_args) for part in cfg['datasets']]
            return _build_wrapper(cfg, 'datasets', parts)
        lists = {k: cfg[k] for k in _PER_FOLDER if isinstance(cfg.get(k), (list, tuple))}
        if lists:
            return _concat_folders(cfg, lists, default_args)
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
        test_mode: True for an `EvalLoader`; by default the data set's `test_mode`.
        worker_timeout: See the loaders, whose default holds when it is None.

    Returns:
        A `TrainLoader` or an `EvalLoader`.
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


def _build_wrapper(cfg: dict, key: str, inner: Any) -> Any:
    cfg = copy.copy(cfg)  # which knows its place in the config file, unlike a plain dict
    cfg[key] = inner
    return build_from_cfg(cfg, DATASETS)


def _concat(datasets: Sequence[Any], separate_eval: bool = True) -> Any:
    cfg = dict(type='ConcatDataset', datasets=datasets, separate_eval=separate_eval)
    return build_from_cfg(cfg, DATASETS)


def _concat_folders(cfg: dict, lists: dict[str, Sequence], default_args: dict | None) -> Any:
    lengths = {k: len(v) for k, v in lists.items()}
    if len(set(lengths.values())) > 1:
        raise ValueError(
            f'{cfg.get("type")}: img_dir, ann_dir and split given as lists must be equally long, '
            f'but got lengths {lengths}'
        )
    if [*lists] == ['ann_dir'] and len(lists['ann_dir']) > 1:
        raise ValueError(
            f'{cfg.get("type")}: ann_dir={list(lists["ann_dir"])!r} is a list, but img_dir is the '
            f'one folder {cfg.get("img_dir")!r}; give one img_dir for each ann_dir'
        )
    parts = []
    for values in zip(*lists.values(), strict=True):
        part = copy.copy(cfg)
        part.pop('separate_eval', None)
        part.update(zip(lists, values, strict=True))
        parts.append(build_dataset(part, default_args))
    return _concat(parts, cfg.get('separate_eval', True))
