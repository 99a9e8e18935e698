"""Polygons cover the pixels whose centres they enclose, as GDAL has it."""

import numpy as np
import pytest
from rasterio.features import rasterize

from msseg.own_data.shapes import Notes, Patch, Shape, fill_ring, paint, read_ring

SIZE = (31, 43)


def filled(corners, size=SIZE):
    top, left, mask = fill_ring(np.array(corners, float), size)
    whole = np.zeros(size, bool)
    whole[top : top + mask.shape[0], left : left + mask.shape[1]] = mask
    return whole


@pytest.mark.parametrize('seed', range(20))
def test_polygons_are_those_of_gdal(seed):
    rng = np.random.default_rng(seed)
    corners = rng.uniform(-10, 55, (rng.integers(3, 12), 2))
    shape = dict(type='Polygon', coordinates=[[*corners.tolist(), corners[0].tolist()]])
    expected = rasterize([(shape, 1)], SIZE, transform=(1, 0, 0, 0, 1, 0)).astype(bool)
    assert (filled(corners) == expected).all()


def test_a_square_of_whole_pixels_covers_these():
    expected = np.zeros(SIZE, bool)
    expected[3:7, 2:9] = True
    square = [[2, 3], [9, 3], [9, 7], [2, 7]]
    assert (filled(square) == expected).all()
    assert (filled(square[::-1]) == expected).all()


def test_neighbours_share_no_pixel_and_leave_none_out():
    corner = [17.37, 11.91]
    edges = [[0, 0], [43, 0], [43, 31], [0, 31]]
    parts = [filled([corner, edges[i], edges[(i + 1) % 4]]) for i in range(4)]
    assert (np.sum(parts, axis=0) == 1).all()


def test_an_edge_to_a_hole_and_back_cuts_it_out():
    outer = [[1.3, 1.3], [30.1, 2.7], [28.2, 25.9], [3.3, 27.7]]
    hole = [[10.2, 10.1], [20.3, 11.7], [15.1, 20.2]]
    ring = [*outer, outer[0], *hole, hole[0]]
    assert (filled(ring) == (filled(outer) & ~filled(hole))).all()


def test_far_corners_do_not_need_memory():
    everything = [[-1e9, -1e9], [1e9, -1e9], [1e9, 1e9], [-1e9, 1e9]]
    assert filled(everything).all()


@pytest.mark.parametrize(
    'points',
    [[], [[0, 0], [1, 1]], [[0, 0], [1, 1], [0, 0]], [[0, 0], [1, float('nan')], [2, 2]],
     [[0, 0], [1e300, 1], [2, 2]], [[0, 0], [1, 'x'], [2, 2]], [0, 1, 2], 'abc', None,
     [[0, 0, 0], [1, 1, 1], [2, 2, 0]]],
)  # fmt: skip
def test_what_is_no_polygon_is_an_error(points):
    with pytest.raises(ValueError, match='a.json, shape 1'):
        read_ring(points, 'a.json, shape 1')


def test_masks_beyond_the_image_are_clipped_with_a_note():
    notes = Notes()
    shapes = [
        Shape('a', 'shape 1', patch=Patch(-1, -2, np.ones((3, 5), bool))),
        Shape('a', 'shape 2', patch=Patch(3, 3, np.ones((9, 9), bool))),
        Shape('a', 'shape 3', patch=Patch(50, 50, np.ones((2, 2), bool))),
    ]
    label = paint(shapes, (4, 5), {'a': 1}, 0, False, notes, 'x')
    assert label.tolist() == [[1, 1, 1, 0, 0], [1, 1, 1, 0, 0], [0] * 5, [0, 0, 0, 1, 1]]
    assert [line.split(' (')[0] for line in notes.lines()] == [
        'a mask reaches beyond its image and is clipped',
        'a shape holds the centre of no pixel and is left out, in x, 3',
    ]


def test_smaller_objects_lie_above_by_area_and_later_ones_by_order():
    small = Shape('small', '1', patch=Patch(0, 0, np.ones((1, 1), bool)))
    large = Shape('large', '2', patch=Patch(0, 0, np.ones((1, 2), bool)))
    values = {'small': 1, 'large': 2}
    painted = [paint([small, large], (1, 2), values, 0, a, Notes(), '').tolist() for a in (0, 1)]
    assert painted == [[[2, 2]], [[1, 2]]]
