"""Each family's tiny model: what tests/ try with some, with all others."""

import pytest

from msseg.utils.device import setup_device
from tests.test_apis import test_family_training as training
from tests.test_export import test_families as export
from tests.tiny_families import FAMILIES


@pytest.fixture(autouse=True)
def _mode_of_users():
    setup_device('CPU')


# with the families that tests/ try
EXPORTS = {
    export.test_onnx_of_any_size: export.ANY_SIZE,
    export.test_onnx_of_one_size_which_opencv_reads: export.IN_OPENCV,
    export.test_mindir_of_any_size: export.AS_MINDIR,
}
# Those that docs/export.md lists; others were tried in ONNX only.
DOCUMENTED = (
    'bisenetv1', 'bisenetv2', 'cgnet', 'deeplabv3', 'deeplabv3plus', 'erfnet', 'fastscnn', 'fcn',
    'hrnet', 'mobilenet_v2', 'mobilenet_v3', 'pspnet', 'resnest', 'resnext', 'sem_fpn', 'stdc',
    'unet', 'upernet',
)  # fmt: skip
CASES = [
    pytest.param(attempt, name, id=f'{attempt.__name__.removeprefix("test_")}-{name}')
    for attempt, tried in EXPORTS.items()
    for name, family in FAMILIES.items()
    if name not in tried
    and (name in DOCUMENTED or attempt is export.test_onnx_of_any_size)
    and ('one_size' in attempt.__name__ or not family.fixed_size)
]


@pytest.mark.parametrize(('attempt', 'name'), CASES)
def test_export(attempt, name, tmp_path):
    attempt(name, tmp_path)


@pytest.mark.parametrize('name', sorted(FAMILIES.keys() - set(training.HERE)))
def test_training(name, tmp_path):
    training.test_mixed_precision_and_resuming(name, tmp_path)
