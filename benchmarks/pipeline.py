"""What loading and augmenting one training sample costs, against decoding its two files."""

from __future__ import annotations

import argparse
import tempfile
from itertools import count
from pathlib import Path

import cv2

from benchmarks.measure import Comparison, compare
from benchmarks.photograph import write_photograph
from msseg.datasets.builder import build_dataset
from msseg.datasets.cityscapes import LABEL_ID_MAP
from msseg.datasets.sample_rng import load_sample

HELP = 'one Cityscapes sample through the training pipeline / cv2.imread of its two files'
LIMIT = 1.3

CROP = (512, 1024)
TRAIN_PIPELINE = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(type='Resize', img_scale=(2048, 1024), ratio_range=(0.5, 2.0)),
    dict(type='RandomCrop', crop_size=CROP, cat_max_ratio=0.75),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PhotoMetricDistortion'),
    dict(
        type='Normalize',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        to_rgb=True,
    ),
    dict(type='Pad', size=CROP, pad_val=0, seg_pad_val=255),
    dict(type='DefaultFormatBundle'),
    dict(type='Collect', keys=['img', 'gt_semantic_seg']),
]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the subcommand's options."""
    parser.add_argument(
        '--rounds', type=int, default=60, help='samples, each augmented in its own way'
    )


def run(args: argparse.Namespace) -> Comparison:
    """Measure, print a line and return the times."""
    with tempfile.TemporaryDirectory() as folder:
        image, labels = write_photograph(Path(folder))
        (Path(folder) / 'train.lst').write_text(f'{image.name} {labels.name}\n')
        dataset = build_dataset(
            dict(
                type='CityscapesDataset',
                data_root=folder,
                split='train.lst',
                label_map=LABEL_ID_MAP,
                pipeline=TRAIN_PIPELINE,
            )
        )
        epochs = count()

        def load() -> None:
            load_sample(dataset, index=0, seed=0, epoch=next(epochs))

        def decode() -> None:
            cv2.imread(str(image))
            cv2.imread(str(labels), cv2.IMREAD_UNCHANGED)

        times = compare(load, decode, args.rounds)
    print(times.report('training pipeline', 'decoding', LIMIT))
    return times
