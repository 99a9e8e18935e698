"""Names and shapes are MMSegmentation's, with MindSpore's names in norm layers."""

import pytest

from msseg.models import build_segmentor
from tests.test_models.model_configs import full_ocrnet
from tests.test_models.parity_names import load_names, to_msseg


@pytest.fixture(scope='module')
def names():
    return load_names()


def shapes_of(model):
    return {parameter.name: list(parameter.shape) for parameter in model.get_parameters()}


@pytest.mark.parametrize('name', ['hr18s', 'hr18', 'hr48'])
def test_names_and_shapes_equal_mmsegmentations(name, names):
    expected = to_msseg(names[f'mmseg ocrnet_{name} cityscapes'])
    assert shapes_of(build_segmentor(full_ocrnet(name))) == expected


def test_reference_implementation_fits_with_biases_before_norms(names):
    expected = to_msseg(names['official hrnet-ocr w48 cityscapes'], official=True)
    assert shapes_of(build_segmentor(full_ocrnet('hr48', dict(conv_bias=True)))) == expected
