"""Checks of what leads to the device and away from it: batches, checkpoints, exported files."""

from __future__ import annotations

import time

import cv2
import numpy as np

from msseg.checks.selftest.check import Bench, Check, CheckFailed, Found, NotApplicable
from msseg.checks.selftest.command_lines import EXPORTED_FILE, LABELS_FILE
from msseg.checks.selftest.samples import ITERS, make_config, paint
from msseg.datasets import TrainLoader, build_dataset
from msseg.deploy.predictor import Predictor
from msseg.runner.checkpoint import load_checkpoint

_SIZE, _CROP = (512, 1024), (256, 512)
_BATCH, _NUM_BATCHES = 2, 6
_LEAST_EQUAL = 0.999


def check_loader(bench: Bench) -> Found:
    """Load batches with and without worker processes; see `Check`."""
    data = bench.folder / 'large'
    paint(data, (_SIZE,))
    dataset = build_dataset(make_config(data, _CROP)['data']['train'])
    batches, rates = [], []
    for workers in (0, 2):
        loader = TrainLoader(dataset, _BATCH, workers, seed=0)
        try:
            source = loader.batches()
            own = [next(source)]  # the workers have started
            start = time.perf_counter()
            own += [next(source) for _ in range(_NUM_BATCHES)]
            rates.append(_NUM_BATCHES * _BATCH / (time.perf_counter() - start))
        finally:
            loader.close()
        batches.append(own)
    for alone, shared in zip(*batches, strict=True):
        if alone.img.tobytes() != shared.img.tobytes() or alone.gt.tobytes() != shared.gt.tobytes():
            raise CheckFailed('worker processes load other batches than the main process')
    height, width = _CROP
    text = (
        f'crops of {height}x{width} of PNGs of {_SIZE[0]}x{_SIZE[1]}: {rates[0]:.0f} images a '
        f'second without workers, {rates[1]:.0f} with two, the same batches; a step on {_BATCH} '
        f'images waits for them if it takes less than {1000 * _BATCH / max(rates):.0f} ms'
    )
    return Found(text, {'images_per_s_0_workers': rates[0], 'images_per_s_2_workers': rates[1]})


def check_resumed(bench: Bench) -> Found:
    """Compare the last checkpoints of a run and of its second half; see `Check`."""
    files = [bench.folder / run / f'iter_{ITERS}.ckpt' for run in ('whole', 'resumed')]
    if not all(file.is_file() for file in files):
        raise NotApplicable('a run above has failed')
    loaded = map(load_checkpoint, files)
    whole, resumed = ({**each.weights, **each.state} for each in loaded)
    names = whole.keys() | resumed.keys()
    different = sorted(
        name
        for name in names
        if name not in whole
        or name not in resumed
        or whole[name].tobytes() != resumed[name].tobytes()
    )
    if different:
        raise CheckFailed(
            f'{len(different)} of {len(names)} tensors of the resumed run differ from the whole '
            f"run's; one is {different[0]}"
        )
    return Found(f'a resumed run ends with the same bits in {len(names)} tensors')


def check_exported(bench: Bench) -> Found:
    """Load the exported file on the device, and compare its labels with testing's; see `Check`."""
    file, labels = bench.folder / EXPORTED_FILE, bench.folder / LABELS_FILE
    if not file.is_file() or not labels.is_file():
        raise NotApplicable('the export or the test above has failed')
    predictor = Predictor(file, bench.device)
    equal = total = 0
    with np.load(labels) as expected:
        for path in sorted((bench.folder / 'data' / 'images').iterdir()):
            known = expected[path.stem]
            if known.shape == predictor.metadata.input.size:
                found = predictor(cv2.imread(str(path)))
                equal, total = equal + int((found == known).sum()), total + known.size
    text = f'{100 * equal / total:.3f} % of {total} pixels have the label of the checkpoint'
    if equal < _LEAST_EQUAL * total:
        raise CheckFailed(text)
    return Found(text, {'equal': equal / total})


CHECKS = (
    Check('loader', check_loader, 'report it to msseg: no device is involved'),
)  # fmt: skip
RESUMED = (
    Check(
        'exact resume', check_resumed,
        'a run that was interrupted gives another result than one that was not; see the check '
        'repetition: if that passes, report it to msseg',
    ),
)  # fmt: skip
EXPORTED = (
    Check(
        'exported file on the device', check_exported,
        'use the file on the CPU, where it was compared with the checkpoint; report it to msseg',
    ),
)  # fmt: skip
