"""Each family's tiny model: all that tests/ try with some of them."""

import pytest

from tests.test_apis import test_family_training as training
from tests.test_export import test_families as export
from tests.tiny_families import FAMILIES


@pytest.mark.parametrize('name', FAMILIES)
@pytest.mark.parametrize(
    'attempt',
    [
        export.test_onnx_of_any_size,
        export.test_onnx_of_one_size_which_opencv_reads,
        export.test_mindir_of_any_size,
    ],
    ids=lambda attempt: attempt.__name__.removeprefix('test_'),
)
def test_export(attempt, name, tmp_path):
    attempt(name, tmp_path)


@pytest.mark.parametrize('name', FAMILIES)
def test_training(name, tmp_path):
    training.test_mixed_precision_and_resuming(name, tmp_path)
