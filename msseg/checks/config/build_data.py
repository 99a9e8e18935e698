"""Building transforms, data sets and the loader."""

from __future__ import annotations

from typing import Any

from msseg.apis.build import build_split, loader_options
from msseg.apis.settings import (
    SPLITS,
    dataset_nodes,
    is_list_of_dicts,
    part,
    transform_nodes,
)
from msseg.checks.config.attempt import attempt
from msseg.checks.config.finding import Findings
from msseg.checks.config.kinds import HINDERS_BUILDING
from msseg.config import Config
from msseg.datasets import TrainLoader
from msseg.datasets.builder import PIPELINES
from msseg.datasets.pipelines import Compose
from msseg.registry import config_path
from msseg.utils.dist import get_rank, get_world_size

_MANY = 1_000_000  # samples, where there are none yet
_HINDERS = (*HINDERS_BUILDING, 'norm_missing')


def build_transforms(cfg: Config, findings: Findings) -> None:
    """Build each transform of all pipelines; no file is looked at."""
    for split in SPLITS:
        for dataset in dataset_nodes(cfg, split):
            where = f'{config_path(dataset)}.pipeline'
            if not is_list_of_dicts(dataset.get('pipeline')) and not findings.hinders(where):
                attempt(findings, where, lambda d=dataset: Compose(d.get('pipeline')))
            for node in transform_nodes(dataset):
                if not findings.hinders(config_path(node), _HINDERS):
                    attempt(findings, config_path(node), lambda n=node: PIPELINES.build(n))


def build_datasets(cfg: Config, findings: Findings) -> dict[str, Any]:
    """Build the data sets that there are and that nothing hinders, by their split."""
    built = {}
    for split in SPLITS:
        key = f'data.{split}'
        is_there = part(cfg, 'data').get(split) is not None
        if is_there and not findings.hinders(key, (*_HINDERS, 'data_path', 'refused')):
            dataset = attempt(findings, key, lambda s=split: build_split(cfg, s))
            if dataset is not None:
                built[split] = dataset
    return built


def find_epoch_length(cfg: Config, dataset: Any, findings: Findings) -> int | None:
    """Build the loader of training.

    Args:
        cfg: The config.
        dataset: The data set of training; None when it is not there.
        findings: Where to note what is wrong with the loader's options.

    Returns:
        Iterations of an epoch; None when they are not known.
    """
    keys = ('data.', 'data.train_dataloader.')
    options = loader_options(cfg, 'train') if part(cfg, 'data') else {}
    said = ['seed', *(key + name for key in keys for name in options)]
    if not options or any(map(findings.hinders, said)):
        return None
    loader = attempt(
        findings,
        'data',
        lambda: TrainLoader(
            range(_MANY) if dataset is None else dataset,
            **options,
            seed=cfg.get('seed') or 0,
            rank=get_rank(),
            world_size=get_world_size(),
        ),
    )
    return loader.iters_per_epoch if loader is not None and dataset is not None else None
