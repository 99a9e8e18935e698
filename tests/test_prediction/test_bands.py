"""Images of bands with pixels without data: labels whole, in tiles and of an exported file."""

import csv

import numpy as np
import pytest
from PIL import Image

import msseg
from msseg.apis import build_model, load_config
from msseg.deploy import Predictor
from msseg.export import ExportOptions, export_model
from msseg.prediction import PredictOptions, predict_files
from msseg.runner.checkpoint import save_checkpoint
from tests.geotiff import write_geotiff
from tests.test_prediction.test_model import CONFIG

rasterio = pytest.importorskip('rasterio')


@pytest.fixture(scope='module')
def six(tmp_path_factory):
    """A folder with two GeoTIFF images of six bands, and a model of five of these."""
    folder = tmp_path_factory.mktemp('six')
    (folder / 'images').mkdir()
    rng = np.random.default_rng(0)
    image = rng.integers(1, 1000, (48, 64, 6)).astype(np.uint16)
    image[:9, :7] = 0
    write_geotiff(folder / 'images' / 'a.tif', image, nodata=0)
    write_geotiff(folder / 'images' / 'b.tif', image[::-1].copy(), crs=None, nodata=0)
    text = CONFIG.replace('{root}', str(folder)).replace('in_channels=3', 'in_channels=5')
    text = text.replace('[127.5] * 3', '[500.0] * 5').replace('[64.0] * 3', '[300.0] * 5')
    text = text.replace('to_rgb=True', 'to_rgb=False').replace(
        "img_suffix='.png'", "img_suffix='.tif'"
    )
    load = "dict(type='LoadImageFromFile', bands=[6, 1, 2, 3, 4], fill=500)"
    (folder / 'config.py').write_text(text.replace("dict(type='LoadImageFromFile')", load))
    save_checkpoint(folder / 'a.ckpt', build_model(load_config(str(folder / 'config.py'))))
    return folder, msseg.load(folder / 'config.py', weights=folder / 'a.ckpt')


@pytest.mark.parametrize('tile', [(1024, 1024), (24, 32)])
def test_labels_of_bands_have_the_place_of_their_image_and_its_holes(six, tmp_path, tile):
    folder, model = six
    options = PredictOptions(tile=tile, overlap=4, probabilities=True, areas=True)
    assert predict_files(model.network, [folder / 'images'], tmp_path, options) == []
    a, b = folder / 'images/a.tif', tmp_path / 'labels/a.tif'
    with rasterio.open(a) as image, rasterio.open(b) as file:
        assert (file.crs, file.transform) == (image.crs, image.transform)
        labels = file.read(1)
    assert ((labels == 255).sum(), (labels[:9, :7] == 255).sum()) == (63, 63)
    assert np.load(tmp_path / 'probabilities/a.npy')[0, 0].tolist() == [0, 0]
    turned = np.array(Image.open(tmp_path / 'labels/b.png'))  # without a georeference
    assert (turned[-9:, :7] == 255).all() and (turned == 255).sum() == 63
    with (tmp_path / 'areas_by_class.csv').open() as file:
        assert sum(int(row['pixels']) for row in csv.DictReader(file)) == 2 * (48 * 64 - 63)
    if tile[0] > 48:
        result = model(folder / 'images/a.tif')
        np.testing.assert_array_equal(result.labels, labels)
        assert result.probabilities[:, 0, 0].tolist() == [0, 0]
        assert [path.suffix for path in result.save(tmp_path / 'saved')] == ['.tif', '.png']


def test_an_exported_file_labels_bands_as_its_model(six, tmp_path):
    folder, model = six
    cfg, out = load_config(str(folder / 'config.py')), tmp_path / 'six.mindir'
    export_model(cfg, folder / 'a.ckpt', out, ExportOptions('mindir', (48, 64)))
    predictor = Predictor(out)
    for name in ('a.tif', 'b.tif'):
        path = folder / 'images' / name
        np.testing.assert_array_equal(predictor(path), model(path).labels)
    with rasterio.open(folder / 'images/a.tif') as file:
        array = file.read([6, 1, 2, 3, 4]).transpose(1, 2, 0)
    found = predictor(array)  # an array has no tag: its holes are values
    assert (found != 255).all()
