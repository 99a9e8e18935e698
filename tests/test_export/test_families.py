"""Each family's model, exported, gives what the network gives, on two images."""

from functools import partial

import cv2
import mindspore as ms
import numpy as np
import pytest

from msseg.deploy.metadata import Metadata, Preprocessing
from msseg.export.options import ExportOptions
from msseg.export.writers import WRITERS
from msseg.models import InferenceSegmentor
from msseg.models.contract import check_takes_any_size
from tests.tiny_families import FAMILIES, build, images

# test_export.py exports an OCRNet, of which FCN on HRNet is a part
HERE = sorted(FAMILIES.keys() - {'ocrnet', 'hrnet'})
ANY_SIZE = [name for name in HERE if not FAMILIES[name].fixed_size]
ONE_SIZE = [name for name in HERE if FAMILIES[name].fixed_size]
# Pooling with zeros and to one pixel, repeated pixels, transposed convolutions, norms of two cells;
# endurance/test_families.py tries the others.
IN_OPENCV = ('bisenetv1', 'cgnet', 'erfnet', 'resnest')
AS_MINDIR = ('bisenetv1', 'erfnet', 'pspnet', 'resnest')


def write(name, folder, file_format, dynamic):
    """Export a family's model; return the function that runs the file."""
    network, family = build(name), FAMILIES[name]
    spec, options = network.output_spec, ExportOptions(file_format, family.size, dynamic=dynamic)
    metadata = Metadata(
        options.input_port(3),
        options.output_port(spec.out_channels),
        Preprocessing(False, True, (0.0,) * 3, (1.0,) * 3),
        tuple(map(str, range(spec.num_classes))),
        ((0, 0, 0),) * spec.num_classes,
        spec.align_corners,
        spec.threshold,
        '0',
    )
    path = folder / f'{name}.{file_format}'
    return WRITERS[file_format](network, metadata, path)


def assert_agrees(run, name, sizes):
    """Compare a file with the network, computed operator by operator, on two images a size."""
    ms.set_context(mode=ms.PYNATIVE_MODE)
    network = InferenceSegmentor(build(name), dynamic=False)
    for size in sizes:
        given = images(size)
        expected = [network(ms.Tensor(image)).asnumpy() for image in given]
        largest = np.abs(expected).max()
        for image, logits in zip(given, expected, strict=True):
            assert np.abs(run(image) - logits).max() < FAMILIES[name].tolerance * largest
        # else one answer for all images would do
        assert np.abs(expected[0] - expected[1]).max() > 0.05 * largest


@pytest.mark.parametrize('name', ANY_SIZE)
def test_onnx_of_any_size(name, tmp_path):
    run = write(name, tmp_path, 'onnx', dynamic=True)
    assert_agrees(run, name, [FAMILIES[name].size, FAMILIES[name].other_size])


@pytest.mark.parametrize('name', ONE_SIZE)
def test_onnx_of_one_size(name, tmp_path):
    with pytest.raises(ValueError, match=FAMILIES[name].fixed_size):
        check_takes_any_size(build(name))
        write(name, tmp_path, 'onnx', dynamic=True)
    run = write(name, tmp_path, 'onnx', dynamic=False)
    assert_agrees(run, name, [FAMILIES[name].size])


def run_with_opencv(path, image):
    network = cv2.dnn.readNetFromONNX(str(path))
    network.setInput(image)
    return network.forward()


@pytest.mark.parametrize('name', IN_OPENCV)
def test_onnx_of_one_size_which_opencv_reads(name, tmp_path):
    run = write(name, tmp_path, 'onnx', dynamic=False)
    for runs in (run, partial(run_with_opencv, tmp_path / f'{name}.onnx')):
        assert_agrees(runs, name, [FAMILIES[name].size])


@pytest.mark.parametrize('name', AS_MINDIR)
def test_mindir_of_any_size(name, tmp_path):
    run = write(name, tmp_path, 'mindir', dynamic=True)
    assert_agrees(run, name, [FAMILIES[name].size, FAMILIES[name].other_size])
