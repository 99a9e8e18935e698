"""The demo: train a small OCRNet on microscopy images, measure it, draw what it sees.

Run by `make demo`; everything is written to demo/output.
"""

from __future__ import annotations

import time
from pathlib import Path

from msseg.apis import Inferencer, build_model, build_split, load_config, train_from_config
from msseg.apis.evaluate import ScoreCounter, predict_all
from msseg.apis.test import load_trained
from msseg.checks.start import check_before_training
from msseg.reports.comparisons import Comparisons
from msseg.reports.curves import draw_curve
from msseg.utils.cli import run_main

HERE = Path(__file__).resolve().parent
CONFIG = HERE.parent / 'configs' / 'demo' / 'ocrnet_nuclei.py'
OUTPUT = HERE / 'output'


def main() -> None:
    """Trains, tests and draws."""
    start = time.perf_counter()
    dataset = build_split(load_config(CONFIG), 'test')
    pictures = Comparisons(OUTPUT / 'overlays', dataset)  # what is in its way is said now
    runner = train_from_config(
        load_config(CONFIG), work_dir=OUTPUT, seed=0, start_check=check_before_training
    )
    log = OUTPUT / f'{runner.timestamp}.log.json'

    # what tools/test.py does, from the checkpoint on disk, with the truth beside each prediction
    cfg = load_config(CONFIG)
    checkpoint = OUTPUT / f'iter_{runner.iter}.ckpt'
    model = build_model(cfg)
    load_trained(model, dataset, checkpoint, cfg.model)
    counter = ScoreCounter(dataset)
    predict_all(Inferencer(model), dataset, 0, [counter.add, pictures.add])
    table = counter.scores('mIoU').table()
    minutes = (time.perf_counter() - start) / 60

    draw_curve(log, OUTPUT / 'curve.png')
    (OUTPUT / 'table.txt').write_text(f'{table}\n', encoding='utf-8')
    print(f'\n{table}\n')
    print(f'Trained and evaluated in {minutes:.1f} minutes. What came out:')
    for path, what in (
        (log.with_suffix(''), 'the log'),
        (OUTPUT / 'curve.png', 'loss and mIoU over the run'),
        (OUTPUT / 'table.txt', 'the table above'),
        (OUTPUT / 'overlays', f'{len(pictures.written)} pictures: image, truth, prediction'),
        (checkpoint, 'the trained model'),
    ):
        print(f'  {path.relative_to(HERE.parent)}: {what}')


if __name__ == '__main__':
    run_main(main)
