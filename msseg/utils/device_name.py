"""The names of devices, with PyTorch's; MindSpore is not needed for them."""

from __future__ import annotations

from msseg.utils.suggest import did_you_mean

DEVICES = ('auto', 'CPU', 'GPU', 'Ascend')
DEVICE_HELP = (
    "auto (default), CPU, GPU or Ascend, with a card's number as GPU:1; cuda and npu mean GPU and "
    'Ascend'
)
_BY_NAME = {**{name.lower(): name for name in DEVICES}, 'cuda': 'GPU', 'npu': 'Ascend'}


def parse_device(device: str) -> tuple[str, int | None]:
    """Return one of ``DEVICES`` and the number of the card, None where it is not given.

    Args:
        device: ``auto``, ``CPU``, ``GPU`` or ``Ascend`` in any case of letters, or PyTorch's
            ``cuda`` and ``npu``; with a card's number as ``GPU:1``, ``cuda:1``.

    Raises:
        TypeError: It is no text.
        ValueError: It is none of these.

    Example:
        >>> parse_device('cuda:1'), parse_device('npu'), parse_device('cpu')
        (('GPU', 1), ('Ascend', None), ('CPU', None))
    """
    if not isinstance(device, str):
        raise TypeError(f"device is {device!r}, expected a text such as 'CPU' or 'Ascend:0'")
    name, colon, number = device.partition(':')
    known = _BY_NAME.get(name.strip().lower())
    if known is None or colon and (known == 'auto' or not number.isdecimal()):
        hint = '' if known else did_you_mean(name, [*DEVICES, 'cuda', 'npu'])
        raise ValueError(
            f'device {device!r} is not known, expected auto, CPU, GPU (or cuda) or Ascend (or '
            f"npu), with a card's number as 'GPU:0', 'cuda:0', 'Ascend:0' or 'npu:0'.{hint}"
        )
    return known, int(number) if number else None
