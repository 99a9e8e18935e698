"""A full-size OCRNet converts quickly, in little memory, with every name accounted for."""

import json
import subprocess
import sys
from pathlib import Path

import mindspore as ms
import numpy as np
import pytest

from tests.test_convert.torch_files import save_torch
from tests.test_models.parity_names import from_official, load_names, to_msseg

ROOT = Path(__file__).parents[2]
# Runs the tool and tells its processor time, which other programs do not change as they do the
# clock's, and its largest memory.
MEASURE = """
import runpy, time
from msseg.utils.resources import peak_memory_mb
try:
    runpy.run_path('tools/convert_from_torch.py', run_name='__main__')
except SystemExit as end:
    assert not end.code, end.code
peak = peak_memory_mb() / 1024
print(f'{time.process_time():.1f} s {peak:.2f} GiB')
"""


@pytest.mark.parametrize(
    ('model', 'is_official'),
    [('mmseg ocrnet_hr48 cityscapes', False), ('official hrnet-ocr w48 cityscapes', True)],
    ids=['mmseg', 'official'],
)
def test_w48_converts_within_20_seconds_and_1500_megabytes(tmp_path, model, is_official):
    names, rng = load_names(), np.random.default_rng(0)
    shapes = names[model]
    pool = rng.standard_normal(4_000_000, dtype=np.float32)
    arrays = {}
    for index, (name, shape) in enumerate(shapes.items()):
        size = int(np.prod(shape))
        arrays[name] = pool[index : index + size].reshape(shape)
    source, destination = tmp_path / 'w48.pth', tmp_path / 'w48.ckpt'
    save_torch(source, arrays, (lambda s: s) if is_official else (lambda s: {'state_dict': s}))
    assert source.stat().st_size > 280e6
    command = [sys.executable, '-c', MEASURE, source, destination, '--report', tmp_path / 'r.json']
    if is_official:
        command += ['--config', 'configs/ocrnet/ocrnet_hr48_512x1024_40k_cityscapes.py']
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    seconds, _, peak, _ = run.stdout.splitlines()[-1].split()
    assert float(seconds) < 20 and float(peak) < 1.4, run.stdout

    entries = json.loads((tmp_path / 'r.json').read_text())['parameters']
    assert {entry['source'] for entry in entries} == set(shapes)
    assert all(entry['shape'] == shapes[entry['source']] for entry in entries)
    assert {entry['kind'] for entry in entries} <= {'matched', 'converted', 'folded'}
    assert sum(entry['kind'] == 'folded' for entry in entries) == (2 if is_official else 0)

    written = ms.load_checkpoint(str(destination))
    written.pop('meta')
    expected = to_msseg(names['mmseg ocrnet_hr48 cityscapes'])
    assert {name: list(parameter.shape) for name, parameter in written.items()} == expected
    renamed = {from_official(name) if is_official else name: name for name in shapes}
    for name in ('backbone.stage4.2.branches.3.3.conv2.weight', 'decode_head.1.conv_seg.weight'):
        np.testing.assert_array_equal(written[name].asnumpy(), arrays[renamed[name]])
