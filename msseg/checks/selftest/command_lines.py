"""Checks of whole command lines, as users type them: train, resume, test, export."""

from __future__ import annotations

import json
import math
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np

from msseg.checks.selftest.check import Bench, Check, CheckFailed, Found, NotApplicable
from msseg.checks.selftest.reference import SIZES
from msseg.checks.selftest.samples import ITERS, make_config, mean_iou, paint
from msseg.utils.shown import shorten

PATIENCE_S = {'CPU': 600, 'GPU': 1800, 'Ascend': 3600}
EXPORTED_FILE, LABELS_FILE = 'exported.mindir', 'labels.npz'
_CONFIG = 'config.json'
_MOST_DIFFERENCE = 1e-3
_TODO = 'run the command above by hand'


def run_command(bench: Bench, *words: object, num: int = 1) -> str:
    """Run ``msseg`` with some words on the bench's device, and return its output.

    Args:
        bench: The device, and the folder in which the command runs.
        *words: The sub-command, its files and its options.
        num: In how many processes; more than one needs a sub-command of ``msseg dist``, with two
            files for ``test`` and one for ``train``.

    Raises:
        CheckFailed: It ended with an error, or not in time.
    """
    line = [str(word) for word in words]
    if num > 1:
        position = 3 if line[0] == 'test' else 2
        line = ['dist', *line[:position], str(num), *line[position:]]
    command = [sys.executable, '-m', 'msseg', *line]
    try:
        run = subprocess.run(
            command, cwd=bench.folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, errors='replace', timeout=PATIENCE_S[bench.device],
        )  # fmt: skip
    except subprocess.TimeoutExpired as late:
        raise CheckFailed(f'msseg {" ".join(line)} took more than {late.timeout:.0f} s') from None
    if run.returncode:
        raise CheckFailed(
            f'msseg {" ".join(line)} ended with status {run.returncode}: {last_words(run.stdout)}'
        )
    return run.stdout


def last_words(output: str) -> str:
    """Return the line of an error, or the last line, of a program's output."""
    lines = [line.strip() for line in output.splitlines() if line.strip()] or ['no output']
    errors = [line for line in lines if line.partition(':')[0].endswith(('rror', 'Exception'))]
    return shorten((errors or lines)[-1], 400)


def check_training(bench: Bench) -> Found:
    """Train on painted images, evaluate and save; see `Check`."""
    paint(bench.folder / 'data')
    config = make_config(bench.folder / 'data')
    (bench.folder / _CONFIG).write_text(json.dumps(config), encoding='utf-8')
    _train(bench, 'whole')
    lines = _log(bench.folder / 'whole')
    losses = [line['loss'] for line in lines if line.get('mode') == 'train']
    if len(losses) != ITERS or not all(loss is not None and math.isfinite(loss) for loss in losses):
        raise CheckFailed(f'the losses of {ITERS} iterations are {losses}')
    (score,) = (line['mIoU'] for line in lines if line.get('mode') == 'val')
    first, *rest = (line['time'] for line in lines if line.get('mode') == 'train')
    bench.kept['mIoU'] = score
    text = (
        f'{_processes(bench)}, {ITERS} iterations, evaluated and saved: losses {losses[0]:.3f} to '
        f'{losses[-1]:.3f}; the first iteration took {first:.0f} s, another {min(rest):.3f} s'
    )
    return Found(text, {'first_iteration_s': first, 'iteration_s': min(rest), 'mIoU': score})


def check_resuming(bench: Bench) -> Found:
    """Train the second half again, from the checkpoint in the middle; see `Check`."""
    middle = bench.folder / 'whole' / f'iter_{ITERS // 2}.ckpt'
    _need(middle)
    _train(bench, 'resumed', '--resume-from', middle)
    return Found(f'{_processes(bench)} went on from iteration {ITERS // 2}')


def check_evaluation(bench: Bench) -> Found:
    """Test the checkpoint, and count its score from the label maps with numpy; see `Check`."""
    checkpoint = bench.folder / 'whole' / f'iter_{ITERS}.ckpt'
    _need(checkpoint)
    words = ['test', _CONFIG, checkpoint, '--device', bench.device]
    run_command(bench, *words, '--eval', 'mIoU', '--work-dir', 'scores', num=bench.processes)
    (file,) = (bench.folder / 'scores').glob('eval_*.json')
    score = json.loads(file.read_text(encoding='utf-8'))['metric']['mIoU']
    run_command(bench, *words, '--out', LABELS_FILE)
    with np.load(bench.folder / LABELS_FILE) as archive:
        names = archive.files
        predicted = [archive[name] for name in names]
    folder = bench.folder / 'data' / 'labels'
    labels = [cv2.imread(str(folder / f'{name}.png'), cv2.IMREAD_GRAYSCALE) for name in names]
    own = mean_iou(predicted, labels)
    trained = bench.kept.get('mIoU', own)  # of the evaluation while training
    text = (
        f'{len(names)} images of {len(SIZES)} sizes: mIoU {score:.4f} by {_processes(bench)}, '
        f'{trained:.4f} while training, {own:.4f} by numpy from the label maps of one process'
    )
    if not max(abs(score - own), abs(trained - own)) <= _MOST_DIFFERENCE:
        raise CheckFailed(text)
    return Found(text, {'mIoU': score, 'mIoU_by_numpy': own})


def check_export(bench: Bench) -> Found:
    """Export the checkpoint, which compares the file with it; see `Check`."""
    checkpoint = bench.folder / 'whole' / f'iter_{ITERS}.ckpt'
    _need(checkpoint)
    size = [str(side) for side in SIZES[0]]
    output = run_command(
        bench, 'export', _CONFIG, checkpoint, '--size', *size, '--out', EXPORTED_FILE
    )
    return Found(f'MindIR, {last_words(output)}')


def _train(bench: Bench, work_dir: str, *options: object) -> None:
    shutil.rmtree(bench.folder / work_dir, ignore_errors=True)
    run_command(
        bench, 'train', _CONFIG, '--work-dir', work_dir, '--device', bench.device, '--seed', 0,
        '--deterministic', *options, num=bench.processes,
    )  # fmt: skip


def _log(work_dir: Path) -> list[dict]:
    (file,) = work_dir.glob('*.log.json')
    return [json.loads(line) for line in file.read_text(encoding='utf-8').splitlines()]


def _need(checkpoint: Path) -> None:
    if not checkpoint.is_file():
        raise NotApplicable('the training above has failed')


def _processes(bench: Bench) -> str:
    return 'one process' if bench.processes == 1 else f'{bench.processes} processes'


CHECKS = (
    Check('msseg train', check_training, _TODO),
    Check('msseg train --resume-from', check_resuming, _TODO),
)
AFTERWARDS = (
    Check(
        'msseg test', check_evaluation,
        f'{_TODO}; evaluation labels images by another graph than training, or processes do not '
        'add up their counts: report it to msseg',
    ),
    Check('msseg export', check_export, _TODO),
)  # fmt: skip
