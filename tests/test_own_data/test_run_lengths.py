"""Run lengths as pycocotools and Label Studio write them."""

import numpy as np
import pytest

from msseg.own_data.run_lengths import coco_counts, decode_brush, decode_runs

# pycocotools 2.0.10, mask.encode of an array of 7x9 whose columns have so many pixels
COCO = '221010O010O0301000L000010O010O0O'
COLUMNS = [4, 4, 4, 2, 2, 2, 5, 5, 5]
# label-studio-converter 0.0.59, brush.encode_rle of this mask times 255 in four channels
BRUSH = [0, 0, 0, 120, 57, 27, 252, 127, 246, 192, 48, 191, 252, 224, 17, 255, 223, 0, 191, 255,
         108, 2, 63, 252, 38, 0]  # fmt: skip
MASK = [[1, 0, 0, 0, 1], [1, 1, 1, 1, 1], [0, 0, 1, 0, 0], [0, 0, 1, 1, 1], [1, 0, 0, 0, 1],
        [0, 0, 0, 0, 0]]  # fmt: skip


def test_compressed_counts_are_those_of_pycocotools():
    mask = decode_runs(coco_counts(COCO, 'x'), 63, 'x').reshape(9, 7)
    assert mask.sum(axis=1).tolist() == COLUMNS


def test_brushes_are_those_of_label_studio():
    assert decode_brush(BRUSH, (6, 5), 'x').astype(int).tolist() == MASK


def test_brushes_with_values_of_their_own_are_read():
    # 2 pixels, 8 bits a value, lengths of 3 bits: 8 values each
    bits = f'{8:032b}' + f'{7:05b}' + f'{2:04b}' * 4 + '0' + '00' + f'{7:03b}'
    bits += ''.join(f'{v:08b}' for v in (0, 0, 0, 127, 0, 0, 0, 128))
    bits += '0' * (-len(bits) % 8)
    content = [int(bits[i : i + 8], 2) for i in range(0, len(bits), 8)]
    assert decode_brush(content, (1, 2), 'x').tolist() == [[False, True]]


@pytest.mark.parametrize(
    ('counts', 'word'),
    [([10], 'short'), ([30, 34], 'long'), ([], 'short'), ([70, -7], 'expected'),
     ([63.0], 'expected'),
     ([True] * 63, 'expected'), ('63', 'expected'), ([10**30], 'long')],
)  # fmt: skip
def test_wrong_lengths_are_errors(counts, word):
    with pytest.raises(ValueError, match=f'a.json.*{word}'):
        decode_runs(counts, 63, 'a.json')


@pytest.mark.parametrize(
    ('text', 'word'), [(COCO[:-1] + 'o', 'short'), ('2é', 'character'), ('o' * 20, 'bits')]
)
def test_damaged_texts_are_errors(text, word):
    with pytest.raises(ValueError, match=f'a.json.*{word}'):
        coco_counts(text, 'a.json')


@pytest.mark.parametrize(
    ('content', 'size', 'word'),
    [(BRUSH[:-3], (6, 5), 'short'), (BRUSH, (7, 5), 'short'), (BRUSH, (5, 5), 'long'),
     ([], (6, 5), 'short'), ([300], (6, 5), 'expected'), (['a'], (6, 5), 'expected'),
     ([0, 0, 0, 4, 57, 27, 255, 255], (1, 1), 'short')],
)  # fmt: skip
def test_damaged_brushes_are_errors(content, size, word):
    with pytest.raises(ValueError, match=f'a.json.*{word}'):
        decode_brush(content, size, 'a.json')


def test_a_run_behind_the_last_pixel_is_an_error():
    bits = f'{4:032b}' + f'{7:05b}' + f'{2:04b}' * 4 + '1' + '00' + f'{7:03b}' + f'{255:08b}'
    bits += '0' * (-len(bits) % 8)
    content = [int(bits[i : i + 8], 2) for i in range(0, len(bits), 8)]
    with pytest.raises(ValueError, match='behind the last pixel'):
        decode_brush(np.array(content, np.uint8).tolist(), (1, 1), 'a.json')
