"""Label files that lie where their image lies on the earth."""

import logging
import os

import numpy as np
import pytest
from PIL import Image

from msseg.prediction import geotiff
from msseg.prediction.geotiff import read_georeference, writing_geotiff
from msseg.utils.outputs import Outputs
from tests.geotiff import PLACE, write_geotiff

rasterio = pytest.importorskip('rasterio')
IMAGE = np.ones((4, 6, 6), np.uint16)


@pytest.mark.parametrize('place', [PLACE, (3.0, 0.4, 0.3, 50.0, 0.3, -0.4)])  # one is turned
@pytest.mark.parametrize('num_classes', [2, 255, 300])
def test_labels_lie_where_their_image_lies(tmp_path, place, num_classes):
    write_geotiff(tmp_path / 'a.tif', IMAGE, place=place)
    found = read_georeference(tmp_path / 'a.tif')
    labels = np.random.default_rng(0).integers(0, num_classes, (600, 40))
    labels[5, 6] = nodata = 255 if num_classes <= 255 else 65535
    palette = [(i % 256, 1, 2) for i in range(num_classes)]
    with writing_geotiff(tmp_path / 'labels.tif', labels.shape, palette, found) as write:
        for top in range(0, 600, 130):
            write(labels[top : top + 130])
    with rasterio.open(tmp_path / 'a.tif') as image, rasterio.open(tmp_path / 'labels.tif') as file:
        assert (file.transform, file.crs) == (image.transform, image.crs)
        assert file.nodata == nodata
        np.testing.assert_array_equal(file.read(1), labels)
        if nodata == 255:
            assert file.colormap(1)[1] == (1, 1, 2, 255)
    assert Outputs().files(tmp_path, ['labels.tif'], '--out')  # known as msseg's
    with pytest.raises(FileExistsError, match='not written by msseg'):
        Outputs().files(tmp_path, ['a.tif'], '--out')


def test_ground_control_points_are_kept(tmp_path):
    points = [rasterio.control.GroundControlPoint(r, c, c * 2.0, r * 3.0) for r in (0, 4)
              for c in (0, 6)]  # fmt: skip
    write_geotiff(tmp_path / 'a.tif', IMAGE, crs=None)
    with rasterio.open(tmp_path / 'a.tif', 'r+') as file:
        file.gcps = points, rasterio.CRS.from_epsg(4326)
    found = read_georeference(tmp_path / 'a.tif')
    with writing_geotiff(tmp_path / 'b.tif', (4, 6), [(0, 0, 0)], found) as write:
        write(np.zeros((4, 6), np.uint8))
    with rasterio.open(tmp_path / 'b.tif') as file:
        assert [p.x for p in file.gcps[0]] == [p.x for p in points]


def test_other_images_have_no_place(tmp_path):
    write_geotiff(tmp_path / 'a.tif', IMAGE, crs=None)
    Image.new('L', (4, 6)).save(tmp_path / 'b.png')
    (tmp_path / 'c.tif').write_bytes(b'II*\0')
    assert all(read_georeference(tmp_path / name) is None for name in os.listdir(tmp_path))


def test_a_place_that_cannot_be_read_is_said(tmp_path, monkeypatch, caplog):
    write_geotiff(tmp_path / 'a.tif', IMAGE)
    monkeypatch.setattr(geotiff, 'find_spec', lambda name: None)
    with caplog.at_level(logging.WARNING, logger='msseg'):
        assert read_georeference(tmp_path / 'a.tif') is None
    assert (
        "without its georeference (rasterio is missing: pip install 'msseg[tiff]')" in caplog.text
    )
