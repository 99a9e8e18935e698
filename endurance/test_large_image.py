"""A tiled TIFF of 8,000 x 8,000 pixels takes little more memory than two tiles of it."""

import os
import re
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from msseg.apis import build_model, load_config
from msseg.runner.checkpoint import save_checkpoint
from tests.tiled_tiff import write_tiled_tiff

ROOT = Path(__file__).resolve().parent.parent
CONFIG = 'configs/hrnet/fcn_hr18s_512x1024_40k_cityscapes.py'
SIDE, TILE, OVERLAP = 8000, 1024, 24  # eight tiles a side
# Beyond two tiles: as much as the decoded image and its labels, and 300 MB. Neither is held, so
# there is room: 353 MB were measured on the CPU (MindSpore 2.8.0).
MOST_MORE_MB = 300 + SIDE * SIDE * (3 + 1) / 2**20
MEASURED = """
import runpy
from msseg.utils.resources import peak_memory_mb
try:
    runpy.run_path('tools/predict.py', run_name='__main__')
finally:
    print('peak', peak_memory_mb())
"""


def predict(checkpoint, image, out):
    """Label an image in a process of its own and return the memory that it took at most, in MB."""
    run = subprocess.run(
        [sys.executable, '-c', MEASURED, CONFIG, str(checkpoint), str(image), '--out', str(out),
         '--tile', str(TILE), str(TILE), '--overlap', str(OVERLAP), '--device', 'CPU'],
        cwd=ROOT, env={**os.environ, 'PYTHONPATH': str(ROOT)}, capture_output=True, text=True,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr[-3000:]
    return int(re.search(r'peak (\d+)', run.stdout)[1])


def read(path):
    return np.array(Image.open(path))


def test_memory_does_not_grow_with_the_image(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', None)
    checkpoint, out = tmp_path / 'a.ckpt', tmp_path / 'out'
    save_checkpoint(checkpoint, build_model(load_config(str(ROOT / CONFIG))))
    coarse = np.random.default_rng(0).integers(0, 255, (500, 500, 3)).astype(np.uint8)
    scene = cv2.resize(coarse, (SIDE, SIDE))
    write_tiled_tiff(tmp_path / 'large.tif', scene, tile=(256, 256), compress=True)
    # just too large for one tile, so that it takes the same way
    cv2.imwrite(str(tmp_path / 'small.png'), scene[: TILE + 76, :TILE, ::-1])
    two_tiles = predict(checkpoint, tmp_path / 'small.png', out)
    whole = predict(checkpoint, tmp_path / 'large.tif', out)
    print(f'{whole} MB, {two_tiles} MB for two tiles')
    assert whole - two_tiles <= MOST_MORE_MB
    labels = read(out / 'labels' / 'large.png')
    assert labels.shape == (SIDE, SIDE) and labels.max() < 19
    height, *others = read(out / 'overlays' / 'large.png').shape
    assert SIDE < height < 1.1 * SIDE and others == [SIDE, 3]  # a legend below
    # the first tile's inside, which no other reaches, is the same in both
    rows, columns = 400, TILE - 2 * OVERLAP
    np.testing.assert_array_equal(
        labels[:rows, :columns], read(out / 'labels' / 'small.png')[:rows, :columns]
    )
