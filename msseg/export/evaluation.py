"""Evaluation of exported files: from the test images, or from the files of another program."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from msseg.apis.build import build_model, build_split, check_classes
from msseg.apis.evaluate import Evaluation, ScoreCounter, predict_all, scoring
from msseg.apis.results import LabelArchive
from msseg.apis.train_settings import LoaderSettings
from msseg.config import Config, required
from msseg.datasets.eval_loader import EvalLoader, EvalSample
from msseg.datasets.result_files import outputs_of
from msseg.deploy import Predictor
from msseg.deploy.logits import labels_of, resize_logits
from msseg.utils.atomic import atomic_path, atomic_write_text
from msseg.utils.progress_bar import progress_bar

INPUTS, OUTPUTS = 'inputs.json', 'outputs.json'
_NAME_LENGTH = 60


def deploy_test(
    file: str | Path,
    cfg: Config,
    metrics: Sequence[str] = ('mIoU',),
    out: str | Path | None = None,
    device: str = 'auto',
    runtime: str = 'auto',
) -> Evaluation:
    """Score an exported file on the test images of a config.

    Args:
        file: The .mindir, .onnx or .ms file.
        cfg: The config, already checked.
        metrics: See `evaluate`.
        out: A .npz file for all label maps, by image name, as ``msseg test --out`` writes it.
        device: See `Predictor`.
        runtime: See `Predictor`.

    Raises:
        FileNotFoundError, ImportError, KeyError, ValueError: See `Predictor` and
            `test_from_config`; or the file has other classes than the data set.
    """
    if out is not None and Path(out).suffix != '.npz':
        raise ValueError(f'--out is {str(out)!r}, expected a name ending in .npz')
    predictor = Predictor(file, device, runtime)
    dataset = build_split(cfg, 'test')
    if len(predictor.classes) != len(dataset.CLASSES):
        raise ValueError(
            f'{predictor.path} has the {len(predictor.classes)} classes {predictor.classes}, but '
            f'the data set {len(dataset.CLASSES)}: {tuple(dataset.CLASSES)}'
        )
    with ExitStack() as stack:
        scorer = stack.enter_context(scoring(dataset, metrics))
        handlers = list(scorer.handlers)
        if out is not None:
            outputs = outputs_of(dataset, file, cfg.filename)
            handlers.append(stack.enter_context(LabelArchive(out, dataset, outputs)).add)
        options = LoaderSettings.of(cfg, 'test').for_evaluation
        predict_all(_FromFiles(predictor), dataset, handlers=handlers, **options)
        return scorer.scores()


class _FromFiles:
    """An inferencer that reads image files itself, as a user of the exported file does."""

    def __init__(self, predictor: Predictor) -> None:
        self.predictor = predictor

    def labels(self, imgs: Sequence[np.ndarray], metas: Sequence[dict]) -> np.ndarray:
        return self.predictor(metas[0]['filename'])


def write_inputs(cfg: Config, folder: str | Path) -> int:
    """Write the test images of a config as the network takes them, float32 (1, c, h, w).

    Each image becomes ``NUMBER_IMAGE.bin``; ``inputs.json``, which lists them, is written last.

    Args:
        cfg: With ``data.test``; its pipeline gives each image once.
        folder: The folder for the files.

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
    dataset, folder = build_split(cfg, 'test'), Path(folder)
    images = [dataset.get_filename(index) for index in range(len(dataset))]
    # a part of the image's name is enough: the number tells files apart
    names = [f'{i:06d}_{Path(image).stem[:_NAME_LENGTH]}.bin' for i, image in enumerate(images)]
    outputs_of(dataset, cfg.filename).files(folder, [INPUTS, *names], '--out')
    if (folder / INPUTS).exists():
        _read_list(folder / INPUTS, 'inputs', 'tools/deploy/preprocess.py')  # or it is not replaced
    folder.mkdir(parents=True, exist_ok=True)
    (folder / INPUTS).unlink(missing_ok=True)  # an earlier list must not describe new files
    loading = LoaderSettings.of(cfg, 'test').for_evaluation
    loader = EvalLoader(dataset, with_labels=False, **loading)
    entries = []
    for sample in progress_bar(loader, len(loader), unit='img'):
        image, name = images[sample.index], names[sample.index]
        if len(sample.imgs) != 1 or sample.metas[0].get('flip'):
            raise ValueError(
                f'{image}: data.test.pipeline gives it in {len(sample.imgs)} scales and flips; an '
                'exported network is run once for an image: leave one scale and no flip'
            )
        array = np.ascontiguousarray(sample.imgs[0][None])
        with atomic_path(folder / name) as temporary:
            array.tofile(temporary)
        size = list(sample.metas[0]['ori_shape'][:2])
        entries.append(dict(file=name, shape=list(array.shape), image=image, size=size))
    atomic_write_text(folder / INPUTS, json.dumps({'inputs': entries}, indent=1) + '\n')
    return len(entries)


def score_outputs(
    cfg: Config, inputs: str | Path, outputs: str | Path, metrics: Sequence[str] = ('mIoU',)
) -> Evaluation:
    """Score a network's outputs for the inputs of `write_inputs`, as ``msseg test`` scores.

    Args:
        cfg: The config that the inputs were written with.
        inputs: The folder of the inputs.
        outputs: The folder of the outputs, with ``outputs.json``: logits or labels for each input,
            in a file of the same name.
        metrics: Some of ``mIoU``, ``mDice``, ``mFscore``, ``mBoundaryIoU``.

    Raises:
        FileNotFoundError: A list or a file is missing.
        ValueError: Files and data set do not belong together.
    """
    dataset, inputs, outputs = build_split(cfg, 'test'), Path(inputs), Path(outputs)
    wanted = _read_list(inputs / INPUTS, 'inputs', 'tools/deploy/preprocess.py')
    given = _read_list(outputs / OUTPUTS, 'outputs', 'msseg_infer')
    found = {entry['file']: entry for entry in given}
    images = [dataset.get_filename(index) for index in range(len(dataset))]
    if [entry['image'] for entry in wanted] != images:
        raise ValueError(
            f'{inputs / INPUTS} lists {len(wanted)} images which are not the {len(dataset)} of '
            'data.test: give the config and the options that it was written with'
        )
    missing = [entry['file'] for entry in wanted if entry['file'] not in found]
    if missing:
        raise FileNotFoundError(
            f'{outputs / OUTPUTS} lacks {len(missing)} of {len(wanted)} outputs, the first of '
            f'{missing[0]}: run the network on all inputs'
        )
    model = build_model(cfg)
    check_classes(model, dataset)
    counter = ScoreCounter(dataset, metrics)
    for index, entry in enumerate(progress_bar(wanted, unit='img')):
        output = _read_array(outputs, found[entry['file']])
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
            f'{path}: has {array.size} numbers, not the {entry["shape"]} of {OUTPUTS}: it was cut '
            'short; run the network again'
        )
    return array.reshape(entry['shape'])


def _labels(
    output: np.ndarray, size: tuple[int, int], align_corners: bool, threshold: float
) -> np.ndarray:
    """Return the labels (h, w) at the image's own size."""
    (output,) = output
    if output.dtype != np.int32:
        return labels_of(resize_logits(output, size, align_corners), threshold)
    if output.shape != size:
        raise ValueError(
            f'labels are of {output.shape}, the image is of {size}: for images that are resized '
            'export logits, without --argmax'
        )
    return output
