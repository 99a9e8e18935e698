"""The device that graphs are made for, by which layers choose their operators."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import mindspore as ms
from mindspore import context

# MindSpore's names of chips: Ascend 910A; A2 (910B); A3.
ASCEND_910A = 'ascend910'
CHIPS = (ASCEND_910A, 'ascend910b', 'ascend910_93')


@dataclass(frozen=True)
class Target:
    """A kind of device.

    Attributes:
        name: ``'CPU'``, ``'GPU'`` or ``'Ascend'``.
        chip: The Ascend chip's name, one of `CHIPS`; empty elsewhere.
    """

    name: str
    chip: str = ''

    @property
    def saturates(self) -> bool:
        """Whether an overflow gives the largest number rather than infinity.

        Ascend 910A always does, newer chips with ``MS_ASCEND_CHECK_OVERFLOW_MODE``. Overflow then
        is in a status register alone.

        Source: MindSpore 2.8, ``mindspore.amp.all_finite``.
        """
        mode = os.environ.get('MS_ASCEND_CHECK_OVERFLOW_MODE')
        has_choice = self.name == 'Ascend' and mode == 'SATURATION_MODE'
        return self.chip == ASCEND_910A or has_choice

    @property
    def sinks_graphs(self) -> bool:
        """Whether whole graphs run on the device, in which no shape may be open.

        So it is with jit level O2, the default of Ascend 910A, and wherever processes were started
        with a rank table.

        Source: MindSpore 2.8 ``mindspore.jit``, ``set_context(jit_config=…)``.
        """
        if self.name != 'Ascend':
            return False
        has_table = any(map(os.environ.get, ('RANK_TABLE_FILE', 'MINDSPORE_HCCL_CONFIG_PATH')))
        if has_table and not os.environ.get('MS_ROLE'):
            return True
        level = (context.get_jit_config() or {}).get('jit_level')
        return level == 'O2' if level else self.chip == ASCEND_910A


_assumed: Target | None = None


def get_target() -> Target:
    """Return the device that this process computes on, or the one that is assumed."""
    if _assumed is not None:
        return _assumed
    name = ms.get_context('device_target')
    return Target(name, _find_chip() if name == 'Ascend' else '')


@contextmanager
def assume_target(name: str, chip: str = '') -> Iterator[Target]:
    """Build and compile networks in the block as for another device, which need not be there.

    Args:
        name: ``'CPU'``, ``'GPU'`` or ``'Ascend'``.
        chip: For Ascend one of `CHIPS`; by default the second.
    """
    global _assumed
    before = _assumed
    _assumed = Target(name, chip or (CHIPS[1] if name == 'Ascend' else ''))
    try:
        yield _assumed
    finally:
        _assumed = before


def _find_chip() -> str:
    # hal.get_device_name needs an initialised device and is deprecated (MindSpore 2.8).
    from mindspore._c_expression import MSContext

    return MSContext.get_instance().get_ascend_soc_version()
