"""A writer of small GeoTIFF files of any bands."""

import warnings

import pytest

PLACE = (400000.0, 0.5, 0.0, 5650000.0, 0.0, -0.5)  # GDAL's order


def write_geotiff(path, image, crs='EPSG:25832', place=PLACE, **profile):
    """Write (h, w, bands); skip the test where rasterio is missing."""
    rasterio = pytest.importorskip('rasterio')
    height, width, count = image.shape
    profile = dict(driver='GTiff', height=height, width=width, count=count, **profile)
    if crs:
        profile |= dict(crs=crs, transform=rasterio.Affine.from_gdal(*place))
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', rasterio.errors.NotGeoreferencedWarning)
        with rasterio.open(path, 'w', dtype=image.dtype, **profile) as file:
            file.write(image.transpose(2, 0, 1))
    return path
