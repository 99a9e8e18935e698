"""A tiny OCRNet with random weights, exported for the demo's images of 256x256."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

from msseg.apis import build_model, load_config
from msseg.deploy import Predictor
from msseg.export import ExportOptions, export_model
from msseg.runner.checkpoint import save_checkpoint
from tests.tiny import CONFIG

ROOT = Path(__file__).resolve().parents[2]
NUCLEI = ROOT / 'demo' / 'nuclei'


def write_nuclei_config(folder: Path, split: list[str]) -> Path:
    """Write a config of the network whose test images are some of the demo's, at their size."""
    (folder / 'split.txt').write_text('\n'.join(split) + '\n')
    text = CONFIG.replace('img_scale=(64, 48), flip', 'img_ratios=[1.0], flip')
    path = folder / 'tiny.py'
    path.write_text(
        text.replace('{root}', str(NUCLEI))
        + "data['test'] = dict(type='NucleiDataset', data_root="
        + f"r'{NUCLEI}', img_dir='images/val', ann_dir='annotations/val', "
        + f"split=r'{folder / 'split.txt'}', pipeline=test_pipeline)\n"
    )
    return path


def export_tiny(config: Path, image: Path) -> Path:
    """Export the network to tiny.onnx beside its config; both classes occur in `image`."""
    cfg = load_config(config)
    checkpoint, out = config.with_name('random.ckpt'), config.with_name('tiny.onnx')
    meta = {'CLASSES': ['background', 'nucleus'], 'PALETTE': [[0, 0, 0], [255, 200, 0]]}
    save_checkpoint(checkpoint, build_model(cfg), meta=meta)
    export_model(cfg, checkpoint, out, ExportOptions('onnx', (256, 256)), images=[image])
    _balance(out, Predictor(out).logits(image))
    return out


def _balance(path: Path, logits: np.ndarray) -> None:
    """Shift the last convolution's bias: with random weights one class wins everywhere."""
    model = onnx.load(path)
    last = [node for node in model.graph.node if node.op_type == 'Conv'][-1]
    (bias,) = [each for each in model.graph.initializer if each.name == last.input[2]]
    shift = np.array([np.median(logits[1] - logits[0]), 0], np.float32)
    bias.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(bias) + shift, bias.name))
    onnx.save(model, path)
