"""Building the model, and its parts one by one where the whole cannot be built."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mindspore import nn
from mindspore.nn.utils import no_init_parameters

from msseg.apis.build import build_model
from msseg.apis.settings import head_nodes, part, setting
from msseg.checks.config.attempt import attempt, note_refusal
from msseg.checks.config.finding import Findings
from msseg.config import Config
from msseg.inference.inferencer import Inferencer
from msseg.models.builder import HEADS, build_backbone, build_head, build_neck
from msseg.models.contract import find_input_mismatches
from msseg.registry import config_path
from msseg.utils.arguments import fits
from msseg.utils.cli import USER_ERRORS


def build_whole_model(cfg: Config, findings: Findings) -> nn.Cell | None:
    """Build a config's model without values in its weights.

    Args:
        cfg: The config.
        findings: Where to note what is wrong with which part.

    Returns:
        None when it cannot be built.
    """
    if not part(cfg, 'model'):
        return None
    error = None
    with no_init_parameters():
        if not findings.hinders('model'):
            try:
                model = build_model(cfg)
            except USER_ERRORS as refused:
                error = refused
            else:
                attempt(findings, 'model.test_cfg', lambda: Inferencer(model))
                return model
        before = findings.num_places
        _build_parts(cfg, findings)
    if error is not None and findings.num_places == before:
        note_refusal(findings, 'model', error)
    return None


def _build_parts(cfg: Config, findings: Findings) -> None:
    model = part(cfg, 'model')
    channels = None
    for name, build in (('backbone', build_backbone), ('neck', build_neck)):
        node, key = model.get(name), f'model.{name}'
        if node is not None:
            is_sound = isinstance(node, Mapping) and not findings.hinders(key)
            built = attempt(findings, key, lambda b=build, n=node: b(n)) if is_sound else None
            channels = getattr(built, 'out_channels', None)
    for head in head_nodes(cfg):
        if isinstance(channels, (list, tuple)):
            _check_inputs(head, channels, findings)
        if not findings.hinders(config_path(head)):
            attempt(findings, config_path(head), lambda h=head: build_head(h))


def _check_inputs(head: Mapping[str, Any], channels: Sequence[int], findings: Findings) -> None:
    index, given = (setting(head, name, HEADS) for name in ('in_index', 'in_channels'))
    if index is None or given is None or not _match(index.value, given.value):
        return  # building the head says what is wrong with them
    for mismatch in find_input_mismatches(index.value, given.value, channels):
        findings.add(mismatch.argument, setting(head, mismatch.argument, HEADS), mismatch.text)


def _match(index: Any, channels: Any) -> bool:
    """Whether two values are both counts, or equally many of them."""
    if fits(index, int) and fits(channels, int):
        return True
    values = (index, channels)
    return all(fits(v, Sequence[int]) for v in values) and (len(index) == len(channels))
