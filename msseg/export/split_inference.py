"""Inference in three steps, the middle one outside of Python: inputs to files, files to scores."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from msseg.apis.build import build_model, build_split, check_classes, loader_options
from msseg.apis.evaluate import Evaluation, ScoreCounter
from msseg.config import Config, required
from msseg.datasets.eval_loader import EvalLoader, EvalSample
from msseg.datasets.result_files import outputs_of
from msseg.deploy.logits import labels_of, resize_logits
from msseg.utils.atomic import atomic_path, atomic_write_text
from msseg.utils.progress_bar import progress_bar

INPUTS, OUTPUTS = 'inputs.json', 'outputs.json'
_NAME_LENGTH = 60


def write_inputs(cfg: Config, folder: str | Path) -> int:
    """Write the test images of a config as the network takes them, float32 (1, c, h, w).

    Besides ``NUMBER_IMAGE.bin`` for each, ``inputs.json`` lists them; it comes when all are there.

    Args:
        cfg: With ``data.test``; its pipeline gives each image once.
        folder: Where to.

    Returns:
        Number of images.

    Raises:
        ValueError: The config averages over scales, flips or windows, which takes more than one
            run of the network for an image; or see `Outputs.files`.
    """
    test_cfg = required(cfg, 'model').get('test_cfg') or {}
    if test_cfg.get('mode', 'whole') != 'whole':
        raise ValueError(
            f'model.test_cfg.mode is {test_cfg["mode"]!r}; an exported network is run once for an '
            'image: use --cfg-options model.test_cfg.mode=whole'
        )
    dataset = build_split(cfg, 'test')
    folder = Path(folder)
    # a part of the image's name is enough: the number tells files apart
    names = [
        f'{index:06d}_{Path(dataset.get_filename(index)).stem[:_NAME_LENGTH]}.bin'
        for index in range(len(dataset))
    ]
    outputs_of(dataset, cfg.filename).files(folder, [INPUTS, *names], '--out')
    if (folder / INPUTS).exists():
        _read_list(folder / INPUTS, 'inputs', 'tools/deploy/preprocess.py')  # or it is not replaced
    folder.mkdir(parents=True, exist_ok=True)
    (folder / INPUTS).unlink(missing_ok=True)  # no list of an earlier run beside files of this one
    loading = loader_options(cfg, 'test')
    loader = EvalLoader(dataset, loading['workers_per_gpu'], with_labels=False,
                        worker_timeout=loading['worker_timeout'])  # fmt: skip
    entries = []
    for sample in progress_bar(loader, len(loader), unit='img'):
        image = dataset.get_filename(sample.index)
        if len(sample.imgs) != 1 or sample.metas[0].get('flip'):
            raise ValueError(
                f'{image}: data.test.pipeline gives it in {len(sample.imgs)} scales and flips; an '
                'exported network is run once for an image: leave one scale and no flip'
            )
        name = names[sample.index]
        array = np.ascontiguousarray(sample.imgs[0][None])
        with atomic_path(folder / name) as temporary:
            array.tofile(temporary)
        entries.append(
            {
                'file': name,
                'shape': list(array.shape),
                'image': image,
                'size': list(sample.metas[0]['ori_shape'][:2]),
            }
        )
    atomic_write_text(folder / INPUTS, json.dumps({'inputs': entries}, indent=1) + '\n')
    return len(entries)


def score_outputs(
    cfg: Config, inputs: str | Path, outputs: str | Path, metrics: Sequence[str] = ('mIoU',)
) -> Evaluation:
    """Score what a network gave for the inputs of `write_inputs`, as ``tools/test.py`` scores.

    Args:
        cfg: The config that the inputs were written with.
        inputs: Their folder.
        outputs: Folder of the outputs, with ``outputs.json``: logits or labels for each input, in
            a file of the same name.
        metrics: Some of ``mIoU``, ``mDice``, ``mFscore``.

    Returns:
        The scores.

    Raises:
        FileNotFoundError: A list or a file is missing.
        ValueError: Files and data set do not belong together.
    """
    dataset = build_split(cfg, 'test')
    wanted = _read_list(Path(inputs) / INPUTS, 'inputs', 'tools/deploy/preprocess.py')
    given = _read_list(Path(outputs) / OUTPUTS, 'outputs', 'msseg_infer')
    there = {entry['file']: entry for entry in given}
    if [entry['image'] for entry in wanted] != [
        dataset.get_filename(index) for index in range(len(dataset))
    ]:
        raise ValueError(
            f'{Path(inputs) / INPUTS} lists {len(wanted)} images which are not the {len(dataset)} '
            'of data.test: give the config and the options that it was written with'
        )
    missing = [entry['file'] for entry in wanted if entry['file'] not in there]
    if missing:
        raise FileNotFoundError(
            f'{Path(outputs) / OUTPUTS} lacks {len(missing)} of {len(wanted)} outputs, the first '
            f'of {missing[0]}: run the network on all inputs'
        )
    model = build_model(cfg)
    check_classes(model, dataset)
    counter = ScoreCounter(dataset)
    for index, entry in enumerate(progress_bar(wanted, unit='img')):
        output = _read_array(Path(outputs), there[entry['file']])
        labels = _labels(output, tuple(entry['size']), model.align_corners, model.threshold)
        counter.add(EvalSample(index, [], [], dataset.get_gt_seg_map(index)), labels)
    return counter.scores(metrics)


def _read_list(path: Path, key: str, maker: str) -> list[dict[str, Any]]:
    try:
        return json.loads(path.read_text(encoding='utf-8'))[key]
    except FileNotFoundError:
        raise FileNotFoundError(
            f'{path}: there is no such file; {maker} writes it when it is through'
        ) from None
    except (ValueError, RecursionError, KeyError, TypeError):
        raise ValueError(f'{path}: is no list that {maker} wrote') from None


def _read_array(folder: Path, entry: dict[str, Any]) -> np.ndarray:
    path = folder / entry['file']
    array = np.fromfile(path, entry['dtype'])
    if array.size != np.prod(entry['shape']):
        raise ValueError(
            f'{path}: has {array.size} numbers, but {OUTPUTS} says {entry["shape"]}: it was cut '
            'short; run the network again'
        )
    return array.reshape(entry['shape'])


def _labels(
    output: np.ndarray, size: tuple[int, int], align_corners: bool, threshold: float
) -> np.ndarray:
    """Return the labels (h, w) at the image's own size."""
    if output.dtype == np.int32:
        (labels,) = output
        if labels.shape != size:
            raise ValueError(
                f'labels are of {labels.shape}, the image is of {size}: for images that are '
                'resized export logits, without --argmax'
            )
        return labels
    (logits,) = output
    return labels_of(resize_logits(logits, size, align_corners), threshold)
