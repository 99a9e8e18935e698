"""msseg_infer on images of bands, of more than bytes and with pixels without data, as Predictor."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
from PIL import Image

from msseg.deploy import Predictor
from msseg.deploy.metadata import Metadata, Port, Preprocessing, sidecar
from msseg.export.onnx_graph import make_onnx
from msseg.export.passes import fold_graph
from msseg.models.analysis.graph import Graph, Node
from tests.geotiff import write_geotiff
from tests.test_deploy_cpp.program import find_program, run

RNG = np.random.default_rng(5)
SIZE = (24, 32)


@pytest.fixture(scope='module')
def program():
    return find_program('cpp', 'MSSEG_INFER')


def write_model(path, mean, std, **steps):
    """Write a network of one convolution for images of as many channels as `mean` has."""
    weight = np.random.default_rng(1).normal(0, 1, (3, len(mean), 1, 1)).astype(np.float32)
    shapes = [(1, len(mean), *SIZE), (1, 3, *SIZE)]
    settings = dict(pad_list=(0,) * 4, stride=(1,) * 4, dilation=(1,) * 4)
    graph = Graph('x', shapes[0], 'y', [Node('Conv2D', 'y', ['x', 'g:w'], settings, shapes[1])],
                  {'g:w': weight})  # fmt: skip
    fold_graph(graph)
    preprocessing = Preprocessing(False, False, tuple(mean), tuple(std), **steps)
    metadata = Metadata(
        Port('image', 'float32', 'NCHW', shapes[0], ''),
        Port('logits', 'float32', 'NCHW', shapes[1], 'logits'),
        preprocessing,
        ('a', 'b', 'c'),
        ((1, 2, 3), (200, 100, 0), (9, 9, 9)),
        align_corners=False,
        threshold=None,
        toolbox_version='0',
        format_version=preprocessing.format_version,
    )
    path.write_bytes(make_onnx(graph, metadata).SerializeToString())
    sidecar(path).write_text(replace(metadata, file_bytes=path.stat().st_size).to_json())
    return path


def image_of(channels, dtype, low, high):
    image = RNG.uniform(low, high, (*SIZE, channels)).astype(dtype)
    image[:5, :7] = np.nan if np.dtype(dtype).kind == 'f' else 0
    image[20, 30, 0] = image[0, 0, 0]
    return image


def write(path, image):
    if path.suffix == '.npy':
        np.save(path, image if image.shape[2] > 1 else image[..., 0])
    elif path.suffix == '.tif':
        colours = dict(photometric='RGB') if image.shape[2] > 2 else {}
        write_geotiff(path, image, nodata=0, **colours)
    elif image.dtype == np.uint8 and image.shape[2] == 4:
        Image.fromarray(image, 'RGBA').save(path)
    else:
        cv2.imwrite(str(path), image)
    return path


UNCHANGED = dict(color_type='unchanged')
SIX, FOUR = [500.0 * i + 100 for i in range(6)], [90.0, 100.0, 110.0, 120.0]
CASES = {
    'six bands of 16 bits': ('a.npy', image_of(6, 'u2', 1, 4000), SIX, dict(UNCHANGED, nodata=0)),
    'bands chosen': ('a.npy', image_of(6, 'u2', 1, 4000), SIX[:3],
                     dict(UNCHANGED, bands=(6, 1, 3), nodata=0, fill=(5.0, 6.0, 7.0))),
    'where all are missing': ('a.npy', image_of(5, 'i4', 1, 4000), SIX[:5],
                              dict(UNCHANGED, nodata=0, nodata_rule='all', fill=9.0)),
    'fractions': ('a.npy', image_of(6, 'f4', 0, 1), [0.5] * 6, dict(UNCHANGED, fill=0.5)),
    'double': ('a.npy', image_of(2, 'f8', 0, 1), [0.5] * 2, UNCHANGED),
    'four channels': ('a.png', image_of(4, 'u1', 1, 255), FOUR, UNCHANGED),
    'four in the order of the file': ('a.png', image_of(4, 'u1', 1, 255), FOUR,
                                      dict(UNCHANGED, bands=(1, 2, 3, 4), nodata=0)),
    'near infrared': ('a.tif', image_of(4, 'u2', 1, 4000), SIX[:4],
                      dict(UNCHANGED, bands=(4, 3, 2, 1))),
    'the tag of a tiff': ('a.tif', image_of(1, 'u2', 1, 4000), SIX[3:4], UNCHANGED),
    'real numbers of a tiff': ('a.tif', image_of(1, 'f4', 1, 4), [2.0], UNCHANGED),
    'a scale': ('a.png', image_of(3, 'u2', 1, 4000), FOUR[:3], dict(max_value=4095.0)),
    'grey of a scale': ('a.tif', image_of(1, 'u2', 1, 4000), FOUR[:1],
                        dict(max_value=4095.0, color_type='grayscale')),
    'percentiles': ('a.npy', image_of(3, 'f4', 0, 7), FOUR[:3], dict(percentiles=(2.0, 97.5))),
    'percentiles of bytes': ('a.png', image_of(3, 'u1', 9, 90), FOUR[:3],
                             dict(percentiles=(10.0, 90.0))),
    'the upper bits': ('a.png', image_of(3, 'u2', 1, 65535), FOUR[:3], {}),
}  # fmt: skip


@pytest.mark.parametrize('name', CASES)
def test_labels_equal_the_predictors(program, tmp_path, name):
    file, image, mean, steps = CASES[name]
    scale = 0.3 * max(np.nanstd(image.astype(float)), 1e-3) if steps in (UNCHANGED,) else 30.0
    path = write_model(tmp_path / 'model.onnx', mean, [scale] * len(mean), **steps)
    source = write(tmp_path / file, image)
    done = run(program, path, source, '--out', tmp_path / 'out')
    assert done.returncode == 0, done.stderr
    labels = np.array(Image.open(tmp_path / 'out' / 'a.png'))
    wanted = Predictor(path)(source)
    assert (labels == wanted).mean() > 0.995
    np.testing.assert_array_equal(labels == 255, wanted == 255)
    assert len(np.unique(wanted[wanted != 255])) > 1  # or equal labels say nothing
    if steps.get('nodata') == 0 or file == 'a.tif' or image.dtype.kind == 'f':
        assert (labels == 255).sum() == (35 if steps.get('nodata_rule') == 'all' else 36)


def test_what_is_not_read_whole_is_refused_by_name(program, tmp_path):
    path = write_model(tmp_path / 'model.onnx', SIX, [9.0] * 6, **UNCHANGED)
    image = image_of(6, 'u2', 1, 4000)
    sources = {
        write_geotiff(tmp_path / 'a.tif', image): 'a TIFF of 6 channels, of which OpenCV does not',
        write(tmp_path / 'b.npy', image[..., :5]): 'is loaded with 5 channels, but the model takes',
        write(tmp_path / 'c.npy', np.asfortranarray(image)): "the array is in Fortran's order",
        write(tmp_path / 'd.npy', image.astype('f2')): "the array holds '<f2', expected u1",
    }  # fmt: skip
    np.savez(tmp_path / 'e.npz', image)
    sources[tmp_path / 'e.npz'] = 'an archive of arrays is not read here: save it as .npy'
    cut = write(tmp_path / 'f.npy', image)
    cut.write_bytes(cut.read_bytes()[:-9])
    sources[cut] = 'the numpy array is truncated'
    (tmp_path / 'g.npy').write_bytes(b'\x93NUMPY\x01\0v\0{')
    sources[tmp_path / 'g.npy'] = 'the numpy array is truncated'
    done = run(program, path, *sources, '--out', tmp_path / 'out')
    assert done.returncode == 1
    lines = done.stderr.splitlines()
    for line, (source, words) in zip(lines, sources.items(), strict=False):
        assert f"'{source}': {words}" in line, line
    assert lines[-1].startswith('error: 7 of 7 inputs')
