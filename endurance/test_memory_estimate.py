"""The memory that is said before the first step is what the steps take."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.own_family.test_own_family import MODEL
from tests.small_run import CONFIG

ROOT = Path(__file__).parents[1]
STEPS = """
import sys

import mindspore as ms
import numpy as np

from msseg.apis import build_model, load_config
from msseg.models.analysis.memory_estimate import estimate_memory
from msseg.apis.build import build_train_step
from msseg.apis.train_settings import StepSettings
from msseg.utils.device import set_seed, setup_device
from msseg.utils.resources import peak_memory_mb

config, *shape = sys.argv[1:]
n, h, w = map(int, shape)
setup_device('CPU')
set_seed(0)
cfg = load_config(config)
model = build_model(cfg)
step = build_train_step(model, StepSettings.of(cfg))
img = np.random.default_rng(0).normal(size=(n, 3, h, w)).astype(np.float32)
gt = np.random.default_rng(0).integers(0, 2, (n, h, w)).astype(np.int32)
print(estimate_memory(model, img.shape, step.state_parameters()).total / 2**20)
step.set_train()
for _ in range(2):
    step(ms.Tensor(img), ms.Tensor(gt))[-1].asnumpy()
print(peak_memory_mb())
"""


def check(tmp_path, config, shape):
    script = tmp_path / 'steps.py'
    script.write_text(STEPS)
    command = [sys.executable, script, config, *map(str, shape)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    estimate, peak = map(float, done.stdout.split()[-2:])
    assert estimate == pytest.approx(peak, rel=0.25)


@pytest.mark.parametrize(
    ('network', 'shape'), [('hr18s', (2, 192, 256)), ('hr48', (1, 128, 192))], ids=str
)
def test_estimate_is_near_the_peak(tmp_path, network, shape):
    check(tmp_path, ROOT / f'configs/ocrnet/ocrnet_{network}_512x1024_40k_cityscapes.py', shape)


def test_estimate_of_many_heads_and_depthwise_convolutions(tmp_path):
    check(tmp_path, ROOT / 'configs/bisenetv2/bisenetv2_fcn_4x4_1024x1024_160k_cityscapes.py',
          (2, 256, 256))  # fmt: skip


def test_estimate_of_a_transformer_is_near_the_peak(tmp_path):
    shutil.copy(ROOT / 'tests' / 'own_family' / 'own_family.py', tmp_path)
    (tmp_path / 'own.py').write_text(CONFIG.replace('{root}', str(tmp_path)) + MODEL)
    check(tmp_path, tmp_path / 'own.py', (4, 224, 256))
