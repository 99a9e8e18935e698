"""The checkpoint that a run resumes, and the differences between both runs."""

from __future__ import annotations

import ast
import random
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from msseg.apis.model_source import find_checkpoint, load_initial_weights
from msseg.apis.train_settings import StartSettings
from msseg.config import Config
from msseg.config.writer import read_literals
from msseg.runner import Runner
from msseg.runner.checkpoint import check_readable, load_meta
from msseg.runner.checkpoint_file import DamagedCheckpointError
from msseg.runner.find_checkpoint import find_last_checkpoint
from msseg.utils.dist import broadcast_object, get_rank
from msseg.utils.logging import get_logger

_MAX_LISTED = 12
# The settings that change what training computes; others change the outputs or the speed.
_MATTERS = (
    'model', 'optimizer', 'optimizer_config', 'lr_config', 'runner', 'fp16', 'bf16', 'custom_hooks',
    'auto_scale_lr', 'data.train', 'data.samples_per_gpu', 'data.train_dataloader',
)  # fmt: skip
# The places of files do not matter: the fingerprint covers the files.
_PLACES = ('data_root', 'img_dir', 'ann_dir', 'split', 'pretrained')


def choose_checkpoint(cfg: Config, folder: Path, auto_resume: bool) -> str | None:
    """Return the checkpoint to resume, None to train from the beginning.

    Args:
        cfg: Its ``resume_from`` counts, unless `auto_resume` finds a checkpoint.
        folder: The work dir.
        auto_resume: Take the newest readable checkpoint that the run itself has written.

    Raises:
        DamagedCheckpointError: It is damaged; the message names the newest readable one next to it.
    """
    chosen = None
    if get_rank() == 0:
        resume_from = cfg.get('resume_from')
        if auto_resume:
            out_dir = (cfg.get('checkpoint_config') or {}).get('out_dir')
            chosen = find_last_checkpoint(out_dir or folder)
            if chosen is not None and resume_from:
                _warn_of_unused('resume_from', resume_from, chosen)
        if chosen is None and resume_from:
            chosen = find_checkpoint(cfg, resume_from, folder)
            _refuse_damaged(chosen)
    return broadcast_object(None if chosen is None else str(chosen))


def load_start(runner: Runner, start: StartSettings) -> None:
    """Resume ``resume_from``, else load the initial weights; call it when all hooks are registered.

    Source: MMSegmentation 0.30 ``train_segmentor``; of both keys, ``resume_from`` counts.
    """
    if start.resume_from is None:
        load_initial_weights(runner.model, start)
        return
    if start.load_from:
        _warn_of_unused('load_from', start.load_from, start.resume_from)
    runner.resume(start.resume_from)


def choose_seed(asked: int | None, resumed: str | None) -> int:
    """Return the seed: the one asked for, else the checkpoint's, else a random one."""
    seed = asked
    if seed is None and resumed is not None and get_rank() == 0:
        seed = load_meta(resumed).get('seed')
    if seed is None:
        seed = random.SystemRandom().randrange(2**31)
    return broadcast_object(seed)


def report_changes(checkpoint: str, now: Mapping[str, Any]) -> None:
    """Warn of settings or data that differ between a checkpoint and the manifest of this run."""
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

    Only what the older one records is compared. A batch that is divided between another number of
    devices is the same batch.
    """
    changes = []
    for split in ('train', 'val'):
        old, new = (m.get('data', {}).get(split) for m in (before, now))
        if old and new and old['samples'] != new['samples']:
            changes.append(f'data.{split}: {old["samples"]} samples -> {new["samples"]}')
        elif old and new and old != new:
            same = f'as many samples ({new["samples"]}), but files of other names or sizes'
            changes.append(f'data.{split}: {same}')
    if 'seed' in before and before['seed'] != now['seed']:
        changes.append(f'seed: {before["seed"]} -> {now["seed"]}')
    if 'config' in before:
        changes += _config_changes(before, now)
    return changes


def _config_changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    # what is no plain value is compared as text
    where = 'the config of the checkpoint'
    old, new = (
        dict(_leaves('', read_literals(m['config'], where, ast.unparse))) for m in (before, now)
    )
    batches = [
        leaves.get('data.samples_per_gpu', 1) * manifest.get('world_size', 1)
        for leaves, manifest in ((old, before), (new, now))
    ]
    for key in filter(_matters, dict.fromkeys((*old, *new))):
        if key == 'data.samples_per_gpu' and batches[0] == batches[1]:
            continue
        if key in old and key in new and old[key] == new[key]:
            continue
        was, is_now = (repr(values[key]) if key in values else 'not set' for values in (old, new))
        if was != is_now:  # as text: a NaN is no change
            yield f'{key}: {was} -> {is_now}'


def _matters(key: str) -> bool:
    is_listed = any(f'{key}.'.startswith(f'{name}.') for name in _MATTERS)
    return is_listed and key.rpartition('.')[2] not in _PLACES


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


def _warn_of_unused(key: str, value: Any, used: str | Path) -> None:
    if str(value) != str(used):
        text = '%s=%r is not used: the run goes on from %s, which holds all weights'
        get_logger().warning(text, key, str(value), used)


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
