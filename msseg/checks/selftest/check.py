"""What a check of the self-test is, and what it finds."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple

from msseg.utils.dist import get_rank

Status = Literal['ok', 'failed', 'not applicable']
# Largest differences from float64, as shares of the largest value or of a gradient's norm.
TOLERANCES = {'float32': 1e-4, 'float16': 2e-2, 'bfloat16': 1e-1}
# Of all changes of weights in a step with those of float64, each weight's of the same length: in
# these tiny networks roundings of early layers grow. Without any relation it would be near 0.
LEAST_COSINES = {'float32': 0.9999, 'float16': 0.95, 'bfloat16': 0.4}


class CheckFailed(Exception):
    """A device does not do what it should.

    Args:
        found: What was found in its place.
        todo: What to do, if it is not what the check says.
    """

    def __init__(self, found: str, todo: str = '') -> None:
        super().__init__(found)
        self.found, self.todo = found, todo


class NotApplicable(Exception):
    """A check does not fit the device, or the machine; the message says why."""


@dataclass
class Bench:
    """Where checks run, and what they share.

    Attributes:
        device: ``'CPU'``, ``'GPU'`` or ``'Ascend'``.
        dtype: In which networks compute: ``'float32'``, ``'float16'`` or ``'bfloat16'``.
        folder: For files.
        processes: How many compute together.
        precision: The type whose differences are allowed: float16 where float32 is multiplied so.
        kept: What one check leaves to the next ones; a new process starts with nothing.
    """

    device: str
    dtype: str
    folder: Path
    processes: int = 1
    precision: str = 'float32'
    kept: dict[str, Any] = field(default_factory=dict)

    @property
    def tolerance(self) -> float:
        """See `TOLERANCES`."""
        return TOLERANCES[self.precision]


class Found(NamedTuple):
    """What a check that did not fail found: a text for readers, and numbers."""

    text: str
    values: Mapping[str, float] = {}


class Check(NamedTuple):
    """A check: its title, what runs it, and what to do when it fails."""

    title: str
    run: Callable[[Bench], Found]
    todo: str


@dataclass
class Record:
    """The result of a check.

    Attributes:
        part: The part of the self-test.
        title: The check.
        status: See `Status`.
        found: What was found; why it failed; or why it is not applicable.
        todo: What to do; empty unless it failed.
        values: Numbers by name.
        elapsed_s: How long it took, in seconds.
    """

    part: str
    title: str
    status: Status
    found: str
    todo: str = ''
    values: Mapping[str, float] = field(default_factory=dict)
    elapsed_s: float = 0.0


def run_check(check: Check, bench: Bench, file: Path) -> None:
    """Run a check, and append a line of JSON to a file when it begins and another when it ends.

    So the process that reads them knows where this one was when a driver ended it. Of several
    processes rank 0 writes.
    """
    _append(file, {'begins': check.title})
    start = time.perf_counter()
    try:
        found = check.run(bench)
    except CheckFailed as failure:
        result = {'status': 'failed', 'found': failure.found, 'todo': failure.todo or check.todo}
    except NotApplicable as reason:
        result = {'status': 'not applicable', 'found': str(reason)}
    else:
        values = {name: float(value) for name, value in found.values.items()}
        result = {'status': 'ok', 'found': found.text, 'values': values}
    _append(file, {'title': check.title, **result, 'elapsed_s': time.perf_counter() - start})


def _append(file: Path, line: dict) -> None:
    if get_rank() == 0:
        with file.open('a', encoding='utf-8') as stream:
            stream.write(f'{json.dumps(line)}\n')
