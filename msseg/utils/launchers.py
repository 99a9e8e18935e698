"""The place of this process among several, read from the environment that its launcher set."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass

from msseg.utils.errors import UserOSError, UserValueError, check_one_of
from msseg.utils.text_file import read_user_text

# The variables that each launcher sets; a process without one of these was not started by it.
_VARIABLES = {
    'none': (),
    'msrun': ('MS_ROLE', 'MS_SCHED_HOST', 'MS_SCHED_PORT', 'MS_WORKER_NUM'),
    'mpi': ('OMPI_COMM_WORLD_SIZE', 'OMPI_COMM_WORLD_RANK', 'OMPI_COMM_WORLD_LOCAL_RANK'),
    'ranktable': ('RANK_TABLE_FILE', 'RANK_ID', 'DEVICE_ID'),  # or ModelArts' ASCEND_DEVICE_ID
}
LAUNCHERS = tuple(_VARIABLES)
_START_WITH = {
    'msrun': 'msseg dist train CONFIG NUM or msseg dist test CONFIG CHECKPOINT NUM',
    'mpi': 'mpirun -n NUM msseg train CONFIG --launcher mpi',
    'ranktable': 'RANK_TABLE_FILE=FILE msseg dist train CONFIG NUM --launcher ranktable',
}


@dataclass(frozen=True)
class Place:
    """The place of a process among the others.

    Attributes:
        launcher: One of ``LAUNCHERS``.
        device_id: Number of its card on this machine; None when the framework chooses.
        is_scheduler: Whether it is the one that only brings the others together (msrun's).
    """

    launcher: str
    device_id: int | None = None
    is_scheduler: bool = False


def find_place(launcher: str) -> Place:
    """Read this process's place from the environment.

    Args:
        launcher: One of ``LAUNCHERS``.

    Raises:
        ValueError: An unknown launcher, one that did not start this process, or a rank table that
            does not list it.
        OSError: The rank table cannot be read.
    """
    check_one_of('--launcher', launcher, LAUNCHERS)
    missing = [name for name in _VARIABLES[launcher] if not _read(name)]
    if missing:
        raise UserValueError(
            f'--launcher {launcher}: {", ".join(missing)} not set in the environment, as '
            f'{launcher} would have: start with {_START_WITH[launcher]}'
        )
    if launcher == 'msrun':
        is_scheduler = os.environ['MS_ROLE'] == 'MS_SCHED'
        device_id = _integer('DEVICE_ID') if os.environ.get('DEVICE_ID') else None
        return Place(launcher, None if is_scheduler else device_id, is_scheduler)
    if launcher == 'mpi':
        return Place(launcher, _integer('OMPI_COMM_WORLD_LOCAL_RANK'))
    if launcher == 'ranktable':
        _check_rank_table(_integer('RANK_ID'))
        return Place(launcher, _integer(_name_of_card()))
    return Place(launcher)


def read_rank_table(path: str) -> dict[int, int]:
    """Return the device number of each rank of a rank table file (HCCL's, version 1.0).

    Raises:
        OSError: It cannot be read.
        ValueError: It is no rank table.
    """
    try:
        table = json.loads(read_user_text(path, 'it'))
        devices = [each for server in table['server_list'] for each in server['device']]
        return {int(each['rank_id']): int(each['device_id']) for each in devices}
    except OSError as error:
        raise UserOSError(f'RANK_TABLE_FILE {path!r} cannot be read: {error.strerror}') from error
    except (ValueError, KeyError, TypeError) as error:
        raise UserValueError(
            f'RANK_TABLE_FILE {path!r} is no rank table: expected JSON with server_list, and in '
            "each server's device list device_id and rank_id"
        ) from error


def _check_rank_table(rank: int) -> None:
    path = os.environ['RANK_TABLE_FILE']
    devices = read_rank_table(path)
    if rank not in devices:
        raise UserValueError(
            f'RANK_ID is {rank}, but RANK_TABLE_FILE {path!r} lists the ranks {sorted(devices)}'
        )


def _read(name: str) -> str | None:
    return os.environ.get(_name_of_card() if name == 'DEVICE_ID' else name)


def _name_of_card() -> str:
    """Return the variable with the card's number: ModelArts sets ASCEND_DEVICE_ID."""
    return 'DEVICE_ID' if os.environ.get('DEVICE_ID') else 'ASCEND_DEVICE_ID'


def _integer(name: str) -> int:
    value = os.environ[name]
    if not value.isdecimal():
        key = f'{name} in the environment'
        raise UserValueError(key=key, got=value, expected='a whole number')
    return int(value)
