"""Tiles cover an image, and blend as a weighted mean written out in full."""

import itertools

import numpy as np
import pytest

from msseg.prediction.tiles import blended_rows, check_tiling, decide_in_pieces, spans


@pytest.mark.parametrize(('tile', 'overlap'), [(9, 3), (10, 2), (12, 4), (16, 0), (32, 10)])
def test_spans_cover_an_axis_once(tile, overlap):
    for length in range(1, 6 * tile):
        found = spans(length, tile, overlap)
        assert [s.own.start for s in found[1:]] == [s.own.stop for s in found[:-1]]
        assert found[0].own.start == 0
        assert found[-1].own.stop == length
        for span in found:
            assert span.stop - span.start == min(tile, length)
            assert span.start <= span.before[0] <= span.before[1] <= span.after[0]
            assert span.after[1] <= span.stop
        for before, after in itertools.pairwise(found):
            assert before.after == after.before
            assert before.after[1] - before.after[0] == overlap


def test_few_tiles_are_used():
    assert len(spans(8000, 1024, 128)) == 9
    assert len(spans(1025, 1024, 128)) == 2
    assert len(spans(1024, 1024, 128)) == 1


def in_full(image, tile, overlap, probabilities):
    """Every tile's probabilities, weighted by ramps in both directions, over the whole image."""
    total = 0.0
    for row in spans(image.shape[0], tile[0], overlap):
        for column in spans(image.shape[1], tile[1], overlap):
            found = probabilities(image[row.start : row.stop, column.start : column.stop])
            full = np.zeros((len(found), *image.shape[:2]))
            full[:, row.start : row.stop, column.start : column.stop] = found
            weights = [ramps(span, n) for span, n in zip((row, column), image.shape, strict=False)]
            total = total + full * weights[0][:, None] * weights[1]
    return total


def ramps(span, length):
    position = np.arange(length) + 0.5
    rising = rise(position, *span.before) if span.start else 1
    falling = 1 - rise(position, *span.after) if span.stop < length else 1
    return rising * falling * np.ones(length)


def rise(position, first, last):
    return np.clip((position - first) / (last - first), 0, 1) if last > first else position > first


@pytest.mark.parametrize('size', [(50, 61), (20, 61), (50, 18), (33, 25), (12, 15), (97, 80)])
@pytest.mark.parametrize(('tile', 'overlap'), [((20, 24), 6), ((16, 16), 5), ((20, 24), 0)])
def test_tiles_blend_as_a_weighted_mean(size, tile, overlap):
    image = np.random.default_rng(0).normal(size=(*size, 3)).astype(np.float32)

    def probabilities(part):
        # what a tile says depends on the tile, as a network's answer does
        raw = np.exp(part.transpose(2, 0, 1) + part.mean((0, 1))[:, None, None])
        return (raw / raw.sum(0)).astype(np.float32)

    expected = in_full(image, tile, overlap, probabilities)
    actual = np.full_like(expected, np.nan)
    tiles, rows = [], []

    def finish(y, x, part):
        assert np.isnan(actual[:, y, x]).all(), 'finished twice'
        actual[:, y, x] = part

    for done in blended_rows(
        lambda top, bottom: image[top:bottom], size, probabilities, tile, overlap, finish,
        lambda: tiles.append(1),
    ):  # fmt: skip
        assert not np.isnan(actual[:, done]).any()
        rows.append(done)
    np.testing.assert_allclose(actual, expected, atol=5e-4)  # overlaps wait as 16-bit numbers
    assert len(tiles) == len(spans(size[0], tile[0], overlap)) * len(
        spans(size[1], tile[1], overlap)
    )
    assert [row.start for row in rows] == [0, *[row.stop for row in rows[:-1]]]
    assert rows[-1].stop == size[0]


def test_labels_are_decided_in_pieces():
    probabilities = np.random.default_rng(0).random((3, 150, 7))
    labels = np.empty((150, 7), np.uint8)
    decide_in_pieces(lambda p: p.argmax(0), probabilities, labels)
    np.testing.assert_array_equal(labels, probabilities.argmax(0))


@pytest.mark.parametrize(
    ('tile', 'overlap', 'message'),
    [
        ((0, 64), 0, r'--tile is \[0, 64\], expected height and width, both above 0'),
        ((64, 90), 22, '--overlap is 22, expected 0 to 21, a third of the shorter side of --tile'),
        ((64, 90), -1, '--overlap is -1, expected 0 to 21'),
    ],
)
def test_tiles_that_cannot_be_are_refused(tile, overlap, message):
    with pytest.raises(ValueError, match=message):
        check_tiling(tile, overlap)
