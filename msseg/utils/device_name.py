"""The names of devices, with PyTorch's; MindSpore is not needed for them."""

from __future__ import annotations

from msseg.utils.errors import UserTypeError, UserValueError
from msseg.utils.suggest import nearest

DEVICE_HELP = (
    "auto (default), CPU, GPU or Ascend, with a card's number as GPU:1; cuda and npu mean GPU and "
    'Ascend'
)
_DEVICES = ('auto', 'CPU', 'GPU', 'Ascend')
_BY_NAME = {**{name.lower(): name for name in _DEVICES}, 'cuda': 'GPU', 'npu': 'Ascend'}


def parse_device(device: str) -> tuple[str, int | None]:
    """Return ``auto``, ``CPU``, ``GPU`` or ``Ascend``, and the number of the card or None.

    Args:
        device: One of these in any case of letters, or PyTorch's ``cuda`` and ``npu``; with a
            card's number as ``GPU:1``, ``cuda:1``.

    Raises:
        TypeError: It is no string.
        ValueError: It is none of these.

    Examples:
        >>> parse_device('cuda:1'), parse_device('npu'), parse_device('cpu')
        (('GPU', 1), ('Ascend', None), ('CPU', None))
    """
    if not isinstance(device, str):
        raise UserTypeError(key='device', got=device, expected="a text such as 'CPU', 'Ascend:0'")
    name, colon, number = device.partition(':')
    known = _BY_NAME.get(name.strip().lower())
    if known is None or colon and (known == 'auto' or not number.isdecimal()):
        raise UserValueError(
            f'device {device!r} is not known',
            key='device',
            got=device,
            expected="auto, CPU, GPU (or cuda) or Ascend (or npu), with a card's number as "
            "'GPU:0', 'cuda:0', 'Ascend:0' or 'npu:0'",
            suggestions=() if known else nearest(name, [*_DEVICES, 'cuda', 'npu'], 1),
        )
    return known, int(number) if number else None
