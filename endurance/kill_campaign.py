"""Kills a run again and again at random moments, and lets it go on each time.

``python -m endurance.kill_campaign --kills 100 --log kills.txt``

The run trains a network of one convolution with four megabytes beside it, and saves after every
iteration, so many kills hit it while it saves. After each kill every checkpoint is read; then the
run goes on with ``--auto-resume`` and must do so from the newest. At the end its state is compared,
bit for bit, with that of a run that nobody killed.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import re
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from msseg.runner.checkpoint import load_checkpoint
from tests.small_run import WORKERS, SmallRun

SETTINGS = """
model['backbone']['ballast'] = 1_000_000
runner = dict(type='IterBasedRunner', max_iters=1_000_000)
checkpoint_config = dict(interval=1, by_epoch=False, max_keep_ckpts=3)
evaluation = dict(interval=40, by_epoch=False, save_best='mIoU')
custom_hooks = [dict(type='Pause', seconds=0.01), dict(type='EMAHook')]
model['decode_head']['dropout_ratio'] = 0.1
"""
# Shares of kills: while the program starts; at any moment; when a file is seen being written.
_STARTING, _ANY = 0.1, 0.35
_PATIENCE_S = 180


@dataclass
class Tally:
    """What came of all kills so far."""

    moments: Counter = field(default_factory=Counter)
    read: int = 0
    unreadable: list[str] = field(default_factory=list)
    failed_resumes: list[str] = field(default_factory=list)
    lost_iterations: int = 0


class Campaign:
    """One run and its kills.

    Args:
        folder: Where everything is put.
        say: Takes each line of the log.
        seed: Of the moments.
        workers: Whether batches are loaded in worker processes.
    """

    def __init__(
        self, folder: Path, say: Callable[[str], None], seed: int = 0, workers: bool = False
    ) -> None:
        self.run = SmallRun(folder, SETTINGS + (WORKERS if workers else ''))
        self.say = say
        self.random = random.Random(seed)
        self.tally = Tally()

    def kill_and_resume(self, kills: int) -> Tally:
        """Do it so many times, then end the run and compare it with a straight one.

        Raises:
            AssertionError: A process did not do what it should, or the results differ.
        """
        for number in range(1, kills + 1):
            expected = self._newest()
            process = self.run.start('--auto-resume')
            started = time.monotonic()
            resumed = self._wait_for_moment(process, expected)
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            self._account(number, time.monotonic() - started, expected, resumed)
        self._finish()
        return self.tally

    def _wait_for_moment(self, process: object, expected: int) -> int | None:
        """Wait for the moment to kill and return where the run went on, None if it had not yet."""
        draw = self.random.random()
        if draw < _STARTING:
            time.sleep(self.random.uniform(0, 4))
            return self._resumed_at()
        self.run.wait_for(lambda: self._newest() > expected, process, _PATIENCE_S)
        time.sleep(self.random.uniform(0, 1.5))
        if draw > _STARTING + _ANY:
            self.run.wait_for(self._temporary, process, _PATIENCE_S)
            time.sleep(self.random.uniform(0, 0.03))
        return self._resumed_at() or 0

    def _account(self, number: int, seconds: float, expected: int, resumed: int | None) -> None:
        left, good = self._temporary(), self._read_all()
        moment = 'saving' if left else 'starting' if resumed is None else 'elsewhere'
        newest, done = self._newest(), max(self.run.done, default=0)
        self.tally.moments[moment] += 1
        self.tally.lost_iterations += max(0, done - newest)
        line = (
            f'kill {number:3}: {moment:9} {seconds:5.1f} s after the start; went on at {resumed}; '
            f'iteration {done} done, {newest} saved; {good} checkpoints, all good'
        )
        if resumed is not None and resumed != expected:
            self.tally.failed_resumes.append(f'kill {number}: at {resumed}, not {expected}')
        if self.tally.unreadable or self.tally.failed_resumes:
            line += f'; WRONG: {self.tally.unreadable + self.tally.failed_resumes}'
        self.say(line)

    def _finish(self) -> None:
        expected = self._newest()
        process = self.run.start('--auto-resume')
        self.run.wait_for(lambda: self._newest() > expected, process, _PATIENCE_S)
        process.send_signal(signal.SIGTERM)
        assert process.wait(_PATIENCE_S) == 143, self.run.output
        assert not self._temporary()
        self._read_all()
        last = self._newest()
        killed = state_hash(self.run.work_dir / f'iter_{last}.ckpt')
        self.run.work_dir = self.run.folder / 'straight'
        options = [f'custom_hooks.0.stop_at={last}', 'checkpoint_config.interval=1000000']
        assert self.run.train('--cfg-options', *options, timeout=3600) == 0, self.run.output
        straight = state_hash(self.run.work_dir / f'iter_{last}.ckpt')
        self.say(f'state after iteration {last}: {killed}; of a straight run: {straight}')
        assert killed == straight, 'the killed run has another state than the straight one'

    def _temporary(self) -> list[Path]:
        return list(self.run.work_dir.glob('.*.tmp*'))

    def _newest(self) -> int:
        names = ' '.join(self.run.checkpoints())
        return max(map(int, re.findall(r'\biter_(\d+)\.ckpt', names)), default=0)

    def _resumed_at(self) -> int | None:
        found = re.search(r'resumed \S+ at iteration (\d+)', self.run.output)
        if found:
            return int(found[1])
        return 0 if 'training starts from random weights' in self.run.output else None

    def _read_all(self) -> int:
        names = self.run.checkpoints()
        for name in names:
            try:
                load_checkpoint(self.run.work_dir / name)
            except (ValueError, OSError) as error:
                self.tally.unreadable.append(str(error))
        self.tally.read += len(names)
        return len(names)


def state_hash(path: Path) -> str:
    """Return a hash of all tensors of a checkpoint and of the best score."""
    checkpoint = load_checkpoint(path)
    digest = hashlib.sha256(repr(checkpoint.meta['best_scores']['mIoU'][0]).encode())
    for name, value in sorted({**checkpoint.weights, **checkpoint.state}.items()):
        digest.update(name.encode() + value.tobytes())
    return digest.hexdigest()[:16]


def main() -> None:
    """Run a campaign from the command line; exit status 1 when something was wrong."""
    parser = argparse.ArgumentParser(description='Kill a run at random moments.')
    parser.add_argument('--kills', type=int, default=100)
    parser.add_argument('--seed', type=int, default=0, help='of the moments')
    parser.add_argument('--workers', action='store_true', help='load in worker processes')
    parser.add_argument('--folder', help='a new folder for the run (default: a temporary one)')
    parser.add_argument('--log', type=Path, default=Path('kills.txt'))
    args = parser.parse_args()
    with args.log.open('w') as log, tempfile.TemporaryDirectory(prefix='kills-') as folder:

        def say(line: str) -> None:
            print(line, flush=True)
            print(line, file=log, flush=True)

        started = time.monotonic()
        campaign = Campaign(Path(args.folder or folder), say, args.seed, args.workers)
        try:
            tally = campaign.kill_and_resume(args.kills)
        finally:
            campaign.run.end()
        moments = ', '.join(f'{count} {moment}' for moment, count in tally.moments.most_common())
        say(f'{args.kills} kills ({moments}) in {(time.monotonic() - started) / 60:.0f} minutes')
        say(
            f'{tally.read} checkpoints read, {len(tally.unreadable)} unreadable; '
            f'{len(tally.failed_resumes)} of {args.kills} resumes went wrong; '
            f'{tally.lost_iterations} iterations were done again'
        )
    sys.exit(1 if tally.unreadable or tally.failed_resumes else 0)


if __name__ == '__main__':
    main()
