"""Boundary IoU as Cheng et al. compute it, with OpenCV's erosion of each class."""

import cv2
import numpy as np
import pytest

from msseg.evaluation import compute_scores, confusion_matrix, count_boundaries, format_scores


def boundary_of(mask):
    """Return a mask's pixels that erosion takes away; the outside of the image is not the mask."""
    h, w = mask.shape
    distance = max(1, int(round(0.02 * np.sqrt(h**2 + w**2))))
    padded = cv2.copyMakeBorder(mask.astype(np.uint8), 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    eroded = cv2.erode(padded, np.ones((3, 3), np.uint8), iterations=distance)
    return mask & ~eroded[1:-1, 1:-1].astype(bool)


def expected(prediction, label, num_classes):
    counts = []
    for value in range(num_classes):
        ours, theirs = (
            boundary_of((each == value) & (label != 255)) for each in (prediction, label)
        )
        counts.append([(ours & theirs).sum(), (ours | theirs).sum()])
    return np.array(counts)


def blobs(seed, size):
    rng = np.random.default_rng(seed)
    noise = cv2.GaussianBlur(rng.random((*size, 4)).astype(np.float32), (0, 0), 6)
    return noise.argmax(axis=2).astype(np.uint8)


@pytest.mark.parametrize('size', [(60, 90), (7, 5), (1, 1), (120, 200), (300, 20)])
def test_counts_are_those_of_erosion(size):
    label, prediction = blobs(0, size), blobs(1, size)
    prediction[: size[0] // 2] = label[: size[0] // 2]
    label[size[0] // 3 : size[0] // 3 + 3, : size[1] // 2] = 255
    found = count_boundaries(prediction, label, 5)
    assert found.tolist() == expected(prediction, label, 5).tolist()


def test_other_ignored_values_and_types_count_the_same():
    label, prediction = blobs(2, (40, 50)), blobs(3, (40, 50))
    label[:5] = 255
    usual = count_boundaries(prediction, label, 4)
    other = np.where(label == 255, -1, label.astype(np.int16))
    assert (count_boundaries(prediction.astype(np.int32), other, 4, ignore_index=-1) == usual).all()


def test_scores_and_table_have_it():
    label, prediction = blobs(4, (40, 50)), blobs(5, (40, 50))
    prediction[:, :30] = label[:, :30]
    counts = count_boundaries(prediction, label, 5)
    matrix = confusion_matrix(prediction, label, 5)
    scores = compute_scores(matrix, 'abcde', ['mIoU', 'mBoundaryIoU'], boundary=counts)
    ratios = expected(prediction, label, 5)[:4]
    assert scores.summary()['mBoundaryIoU'] == pytest.approx(np.mean(ratios[:, 0] / ratios[:, 1]))
    assert np.isnan(scores.per_class['BoundaryIoU'][4])  # a class without labelled pixels
    assert 'BoundaryIoU' in format_scores(scores)
    with pytest.raises(ValueError, match='boundary'):
        compute_scores(matrix, 'abcde', 'mBoundaryIoU')
