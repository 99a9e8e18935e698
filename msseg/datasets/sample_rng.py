"""Randomness of a sample, a function of (seed, epoch, index) alone."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np

from msseg.utils.errors import add_lead

_current: ContextVar[np.random.Generator | None] = ContextVar('msseg_sample_rng', default=None)


def current_rng() -> np.random.Generator | None:
    """Return the generator of the sample being loaded, None outside `seeded_sample`."""
    return _current.get()


@contextmanager
def seeded_sample(seed: int, epoch: int, index: int) -> Iterator[np.random.Generator]:
    """Make everything drawn inside the block a function of (seed, epoch, index).

    Transforms find the generator in ``results['rng']``. The global generators of numpy and
    Python are seeded too and put back afterwards, so that a user's transform written for
    MMSegmentation, which draws from them, is as reproducible as ours.

    Examples:
        >>> with seeded_sample(seed=0, epoch=3, index=7) as rng:
        ...     first = rng.random(), np.random.rand()
        >>> with seeded_sample(seed=0, epoch=3, index=7) as rng:
        ...     first == (rng.random(), np.random.rand())
        True
    """
    rng = np.random.default_rng((seed, epoch, index))
    token = _current.set(rng)
    numpy_state, python_state = np.random.get_state(), random.getstate()
    # a stream of its own: what legacy transforms draw must not repeat what ours draw
    legacy_seed = int(np.random.SeedSequence((seed, epoch, index, 1)).generate_state(1)[0])
    np.random.seed(legacy_seed)
    random.seed(legacy_seed)
    try:
        yield rng
    finally:
        np.random.set_state(numpy_state)
        random.setstate(python_state)
        _current.reset(token)


def load_sample(dataset: Any, index: int, seed: int, epoch: int, draw: int | None = None) -> Any:
    """Return ``dataset[index]``, drawn with `seeded_sample`; errors name the sample's file.

    Args:
        dataset: A data set.
        index: Index of the sample.
        seed: Seed of the run.
        epoch: Number of the epoch.
        draw: In place of `index` for randomness: a sample that comes twice in an epoch has two.
    """
    try:
        with seeded_sample(seed, epoch, index if draw is None else draw):
            return dataset[index]
    except Exception as error:
        name_sample(error, dataset, index)
        raise


def get_filename(dataset: Any, index: int) -> str:
    """Return a sample's image file, or ``sample 3`` for a data set without `get_filename`."""
    method = getattr(dataset, 'get_filename', None)
    return method(index) if method else f'sample {index}'


def name_sample(error: Exception, dataset: Any, index: int) -> None:
    """Lead an exception's message with a sample's image file, unless it names one of its files."""
    infos = getattr(dataset, 'img_infos', None)
    label = infos[index].get('ann', {}).get('seg_map') if infos else None
    filename = get_filename(dataset, index)
    if any(name and str(name) in str(error) for name in (filename, label)):
        return
    add_lead(error, filename)
