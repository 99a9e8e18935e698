"""The ``device`` of a config: how a card compiles, rounds and shares its memory."""

from __future__ import annotations

import re
from typing import Any, Literal

import mindspore as ms

from msseg.utils.arguments import checked
from msseg.utils.errors import ArgumentError, UserValueError
from msseg.utils.logging import get_logger
from msseg.utils.target import ASCEND_910A, get_target

JitLevel = Literal['O0', 'O1', 'O2']
PrecisionMode = Literal[
    'force_fp16', 'allow_fp32_to_fp16', 'allow_mix_precision', 'must_keep_origin_dtype',
    'force_fp32', 'allow_fp32_to_bf16', 'allow_mix_precision_fp16', 'allow_mix_precision_bf16',
]  # fmt: skip
_applied: dict[str, Any] = {}  # MindSpore refuses to be given the same memory twice


@checked
def apply_device_settings(
    jit_level: JitLevel | None = None,
    precision_mode: PrecisionMode | None = None,
    allow_hf32: bool | None = None,
    max_memory: str | None = None,
) -> None:
    """Set up a card that is chosen and has computed nothing; None leaves MindSpore's default.

    On the CPU no setting has an effect, which is logged.

    Args:
        jit_level: ``'O0'`` runs kernel by kernel, ``'O1'`` fuses some, ``'O2'`` (Ascend) gives the
            whole graph to the card, which then compiles every size of images for itself. MindSpore
            takes O2 on Ascend 910A and O0 on newer ones.
        precision_mode: Ascend: how operators may change their types; MindSpore takes
            ``'force_fp16'`` on 910A and ``'must_keep_origin_dtype'`` on newer ones.
        allow_hf32: Whether convolutions and matrix products of float32 may round their factors to
            11 bits: HF32 on Ascend, TF32 on GPU. MindSpore lets convolutions do so, and products
            not.
        max_memory: Most memory of the card for tensors, such as ``'28GB'``.

    Raises:
        ArgumentError: A value of a wrong kind.
        ValueError: A setting that the device does not have, or another value than before in this
            process.
    """
    if max_memory is not None and not (
        re.fullmatch(r'\d+(\.\d+)?GB', max_memory) and float(max_memory[:-2])
    ):
        raise ArgumentError(
            key='max_memory', got=max_memory, expected="a text such as '28GB'", who='device'
        )
    settings = {
        'jit_level': jit_level, 'precision_mode': precision_mode, 'allow_hf32': allow_hf32,
        'max_memory': max_memory,
    }  # fmt: skip
    chosen = {key: value for key, value in settings.items() if value is not None}
    target = get_target()
    if target.name == 'CPU':
        if chosen:
            get_logger().info('device: %s: no effect on the CPU', chosen)
        return
    if target.name != 'Ascend':
        _refuse('precision_mode', precision_mode, target.name)
        _refuse('jit_level', jit_level if jit_level == 'O2' else None, target.name)
    try:
        for key, value in chosen.items():
            if _applied.get(key) != value:
                _SETTERS[key](value, target.name)
                _applied[key] = value
    except RuntimeError as error:
        raise ValueError(
            f'device: {chosen} comes too late: this process has another value already, or has '
            f'computed ({error})'
        ) from error
    if target.chip == ASCEND_910A and precision_mode in (None, 'force_fp16'):
        get_logger().warning(
            'Ascend 910A multiplies in float16, float32 networks too (device.precision_mode is '
            "force_fp16): train with fp16=dict(loss_scale='dynamic'), or small gradients become 0"
        )


def _refuse(key: str, value: str | None, device: str) -> None:
    if value is not None:
        raise UserValueError(
            key=f'device.{key}', got=value, expected=f'no such setting on {device}: it is for '
            'Ascend alone',
        )  # fmt: skip


def _set_jit_level(value: str, device: str) -> None:
    ms.set_context(jit_config={'jit_level': value})


def _set_precision_mode(value: str, device: str) -> None:
    ms.device_context.ascend.op_precision.precision_mode(value)


def _set_hf32(value: bool, device: str) -> None:
    if device == 'Ascend':
        ms.device_context.ascend.op_precision.conv_allow_hf32(value)
        ms.device_context.ascend.op_precision.matmul_allow_hf32(value)
    else:
        ms.device_context.gpu.op_precision.conv_allow_tf32(value)
        ms.device_context.gpu.op_precision.matmul_allow_tf32(value)


def _set_memory(value: str, device: str) -> None:
    ms.runtime.set_memory(max_size=value)


_SETTERS = {
    'jit_level': _set_jit_level,
    'precision_mode': _set_precision_mode,
    'allow_hf32': _set_hf32,
    'max_memory': _set_memory,
}
