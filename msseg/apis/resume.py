"""What to go on from, and what has changed since."""

from __future__ import annotations

import ast
import random
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from msseg.apis.model_source import find_checkpoint
from msseg.apis.pretrained import load_initial_weights
from msseg.config import Config
from msseg.config.writer import read_literals
from msseg.runner import Runner
from msseg.runner.checkpoint import check_readable, load_meta
from msseg.runner.checkpoint_file import DamagedCheckpointError
from msseg.runner.find_checkpoint import find_last_checkpoint
from msseg.utils.dist import broadcast_object, get_rank
from msseg.utils.logging import get_logger

_MAX_LISTED = 12
# What decides how training goes on; the rest decides what is written, or how fast.
_MATTERS = (
    'model',
    'optimizer',
    'optimizer_config',
    'lr_config',
    'runner',
    'fp16',
    'bf16',
    'custom_hooks',
    'auto_scale_lr',
    'data.train',
    'data.samples_per_gpu',
    'data.train_dataloader',
)
# Where files lie does not matter: what they are is in the fingerprint.
_PLACES = ('data_root', 'img_dir', 'ann_dir', 'split', 'pretrained')


def choose_checkpoint(cfg: Config, folder: Path, auto_resume: bool) -> str | None:
    """Return the checkpoint to go on from, None to train from the beginning.

    Args:
        cfg: Its ``resume_from`` counts, unless `auto_resume` finds one.
        folder: The work dir.
        auto_resume: Take the newest good one that the run itself has written.

    Raises:
        ValueError: It is damaged; the newest good one beside it is named.
    """
    chosen = None
    if get_rank() == 0:
        if auto_resume:
            out_dir = (cfg.get('checkpoint_config') or {}).get('out_dir')
            chosen = find_last_checkpoint(out_dir or folder)
            if chosen is not None and cfg.get('resume_from'):
                _warn_of_unused('resume_from', cfg, chosen)
        if chosen is None and cfg.get('resume_from'):
            chosen = find_checkpoint(cfg, cfg.resume_from, folder)
            _refuse_damaged(chosen)
    return broadcast_object(None if chosen is None else str(chosen))


def load_start(runner: Runner, cfg: Config) -> None:
    """Load what training starts from: ``resume_from``, else what `load_initial_weights` finds.

    Args:
        runner: With all of its hooks.
        cfg: The config.

    Raises:
        ValueError: The checkpoint does not fit.

    Source: MMSegmentation 0.30 ``train_segmentor``; of both keys, ``resume_from`` counts.
    """
    if not cfg.get('resume_from'):
        load_initial_weights(runner.model, cfg)
        return
    if cfg.get('load_from'):
        _warn_of_unused('load_from', cfg, cfg.resume_from)
    runner.resume(cfg.resume_from)


def choose_seed(asked: int | None, resumed: str | None) -> int:
    """Return the seed to train with: the one asked for, else the checkpoint's, or a random one."""
    seed = asked
    if seed is None and resumed is not None and get_rank() == 0:
        seed = load_meta(resumed).get('seed')
    if seed is None:
        seed = random.SystemRandom().randrange(2**31)
    return broadcast_object(seed)


def report_changes(checkpoint: str, now: Mapping[str, Any]) -> None:
    """Warn when a run goes on with other settings, or other data, than its checkpoint's.

    Args:
        checkpoint: What it goes on from.
        now: The manifest.
    """
    changes = list_changes(load_meta(checkpoint), now)
    if changes:
        more = f'\n  and {len(changes) - _MAX_LISTED} more' if len(changes) > _MAX_LISTED else ''
        get_logger().warning(
            '%s was trained otherwise than it goes on now:\n  %s%s',
            checkpoint,
            '\n  '.join(changes[:_MAX_LISTED]),
            more,
        )


def list_changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Return the differences of two manifests that matter to training, one text each.

    A difference is not told when the older one does not say what was. A batch that is shared out
    over another number of devices is the same batch.
    """
    changes = []
    for split in ('train', 'val'):
        old, new = (m.get('data', {}).get(split) for m in (before, now))
        if old and new and old != new:
            changes.append(f'data.{split}: {_tell_data(old, new)}')
    if 'seed' in before and before['seed'] != now['seed']:
        changes.append(f'seed: {before["seed"]} -> {now["seed"]}')
    if 'config' in before:
        changes += _tell_config(before, now)
    return changes


def _warn_of_unused(key: str, cfg: Config, used: str | Path) -> None:
    if str(cfg[key]) != str(used):
        get_logger().warning(
            '%s=%r is not used: the run goes on from %s, which holds all weights',
            key,
            str(cfg[key]),
            used,
        )


def _tell_data(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    if old['samples'] != new['samples']:
        return f'{old["samples"]} samples -> {new["samples"]}'
    return f'as many samples ({new["samples"]}), but files of other names or sizes'


def _tell_config(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    old, new = (dict(_leaves('', _settings(m['config']))) for m in (before, now))
    batches = [
        leaves.get('data.samples_per_gpu', 1) * manifest.get('world_size', 1)
        for leaves, manifest in ((old, before), (new, now))
    ]
    for key in dict.fromkeys((*old, *new)):
        values = old.get(key, _ABSENT), new.get(key, _ABSENT)
        if values[0] == values[1] or repr(values[0]) == repr(values[1]) or not _matters(key):
            continue  # by their text: a NaN is no change
        if key == 'data.samples_per_gpu' and batches[0] == batches[1]:
            continue
        yield f'{key}: {values[0]!r} -> {values[1]!r}'


class _Absent:
    def __repr__(self) -> str:
        return 'not set'


_ABSENT = _Absent()


def _matters(key: str) -> bool:
    parts = key.split('.')
    return parts[-1] not in _PLACES and any(
        parts[: len(part)] == part for part in (name.split('.') for name in _MATTERS)
    )


def _settings(text: str) -> dict[str, Any]:
    # what is no plain value is compared as text
    return read_literals(text, 'the config of the checkpoint', ast.unparse)


def _leaves(key: str, value: Any) -> Iterator[tuple[str, Any]]:
    children: Any = ()
    value = list(value) if isinstance(value, tuple) else value
    if isinstance(value, dict):
        children = value.items()
    elif isinstance(value, list) and any(isinstance(child, dict) for child in value):
        children = enumerate(value)
    if not children:
        yield key, value
    for name, child in children:
        yield from _leaves(f'{key}.{name}' if key else str(name), child)


def _refuse_damaged(path: Path) -> None:
    try:
        check_readable(path)
    except DamagedCheckpointError as error:
        try:
            other = find_last_checkpoint(path.parent, but=path)
        except ValueError:
            other = None
        advice = (
            f'the newest good one beside it is {str(other)!r}' if other else 'there is no other'
        )
        raise DamagedCheckpointError(path, f'{error.reason}; {advice}') from error
