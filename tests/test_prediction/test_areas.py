import csv
import os

import cv2
import numpy as np
import pytest

from msseg.prediction.areas import AreaCounter, writing_areas


def count_by_flooding(labels, num_classes):
    """Components, 8 neighbours each, by walking through them pixel by pixel."""
    left = {(y, x) for y in range(labels.shape[0]) for x in range(labels.shape[1])}
    components = [0] * num_classes
    while left:
        start = left.pop()
        components[labels[start]] += 1
        waiting = [start]
        while waiting:
            y, x = waiting.pop()
            for near in ((y + j, x + i) for j in (-1, 0, 1) for i in (-1, 0, 1)):
                if near in left and labels[near] == labels[start]:
                    left.remove(near)
                    waiting.append(near)
    return components


def count_in_blocks(labels, num_classes, rows):
    counter = AreaCounter(num_classes)
    for top in range(0, len(labels), rows):
        counter.add(labels[top : top + rows])
    return counter


@pytest.mark.parametrize('rows', [1, 2, 7, 40])
@pytest.mark.parametrize('seed', range(4))
def test_components_are_counted_across_blocks_of_rows(rows, seed):
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 3, (20, 17)).astype([np.uint8, np.int32, np.uint16, np.int64][seed])
    labels = np.repeat(np.repeat(small, 2, 0), 1 + seed % 2, 1)
    counter = count_in_blocks(labels, 4, rows)
    assert counter.components.tolist() == count_by_flooding(labels, 4)
    assert counter.pixels.tolist() == [int((labels == i).sum()) for i in range(4)]


def test_a_spiral_and_a_comb_are_one_part_each():
    # joined only far below, or around many corners
    comb = np.zeros((9, 21), np.uint8)
    comb[:, ::2] = 1
    comb[-1] = 1
    assert count_in_blocks(comb, 2, 1).components.tolist() == [10, 1]
    assert count_in_blocks(comb[::-1], 2, 1).components.tolist() == [10, 1]
    spiral = np.zeros((40, 40), np.uint8)
    for i in range(0, 20, 4):
        cv2.rectangle(spiral, (i, i), (39 - i, 39 - i), 1)
        cv2.line(spiral, (i, i + 1), (i, i + 3), 0)
        cv2.line(spiral, (i + 1, i + 4), (i + 3, i + 4), 1)
    expected = count_by_flooding(spiral, 2)
    for rows in (1, 3, 40):
        assert count_in_blocks(spiral, 2, rows).components.tolist() == expected


def read(path):
    with open(path, encoding='utf-8', newline='') as file:
        return list(csv.reader(file))


def test_tables_have_a_line_for_each_image_and_class(tmp_path):
    paths = tmp_path / 'areas.csv', tmp_path / 'sums.csv'
    with writing_areas(*paths, ['背景', 'cell, "round"', 'debris']) as tables:
        for name, labels in (('a/1', [[0, 0, 1], [0, 1, 0]]), ('b', [[0, 2], [0, 0]])):
            counter = AreaCounter(3)
            counter.add(np.array(labels))
            tables.add(name, counter)
        assert not any(path.exists() for path in paths)
    assert read(paths[0]) == [
        ['image', 'class_index', 'class', 'pixels', 'share', 'components'],
        ['a/1', '0', '背景', '4', '0.666667', '1'],
        ['a/1', '1', 'cell, "round"', '2', '0.333333', '1'],
        ['a/1', '2', 'debris', '0', '0.000000', '0'],
        ['b', '0', '背景', '3', '0.750000', '1'],
        ['b', '1', 'cell, "round"', '0', '0.000000', '0'],
        ['b', '2', 'debris', '1', '0.250000', '1'],
    ]
    assert read(paths[1]) == [
        ['class_index', 'class', 'pixels', 'share', 'components', 'images'],
        ['0', '背景', '7', '0.700000', '2', '2'],
        ['1', 'cell, "round"', '2', '0.200000', '1', '1'],
        ['2', 'debris', '1', '0.100000', '1', '1'],
    ]


def test_a_file_name_that_is_no_utf_8_is_escaped(tmp_path):
    with writing_areas(tmp_path / 'a.csv', tmp_path / 'b.csv', ['cell']) as tables:
        tables.add(os.fsdecode(b'\xff'), AreaCounter(1))
    assert read(tmp_path / 'a.csv')[1][0] == '\\udcff'


def test_an_error_leaves_no_table(tmp_path):
    with pytest.raises(RuntimeError), writing_areas(tmp_path / 'a.csv', tmp_path / 'b.csv', ['a']):
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []
