"""The disk by MMCV's interface."""

import cv2
import numpy as np
import pytest

from msseg.datasets import CustomDataset
from msseg.datasets.file_client import FileClient
from msseg.datasets.pipelines import LoadAnnotations, LoadImageFromFile


@pytest.fixture
def folder(tmp_path):
    for name in ('b.png', 'a.txt', '.hidden.png', 'sub/c.png', 'sub/deep/d.txt'):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(name.encode())
    return tmp_path


@pytest.mark.parametrize(
    ('options', 'expected'),
    [
        ({}, ['a.txt', 'b.png', 'sub']),
        ({'list_dir': False}, ['a.txt', 'b.png']),
        ({'list_file': False, 'recursive': True}, ['sub', 'sub/deep']),
        ({'list_dir': False, 'suffix': '.png', 'recursive': True}, ['b.png', 'sub/c.png']),
        ({'list_dir': False, 'suffix': ('.txt',), 'recursive': True}, ['a.txt', 'sub/deep/d.txt']),
    ],
)
def test_folders_are_listed_as_by_mmcv(folder, options, expected):
    assert list(FileClient().list_dir_or_file(folder, **options)) == expected


def test_files_are_read_and_found(folder):
    client = FileClient.infer_client({'backend': 'disk'}, uri=folder)
    path = client.join_path(folder, 'sub', 'c.png')
    assert client.get(path) == b'sub/c.png'
    assert client.get_text(path) == 'sub/c.png'
    assert (client.isfile(path), client.isdir(path), client.exists(path)) == (True, False, True)
    assert client.isdir(folder / 'sub') and not client.exists(folder / 'absent')
    with client.get_local_path(path) as local:
        assert local == path


@pytest.mark.parametrize(
    'make',
    [
        lambda: FileClient('petrel'),
        lambda: FileClient('disk', path_mapping={}),
        lambda: LoadAnnotations(file_client_args={'backend': 'ceph'}),
        lambda: FileClient.infer_client(uri='s3://bucket/a.png'),
    ],
)
def test_other_storages_are_refused(make):
    with pytest.raises(ValueError, match='disk'):
        make()
    with pytest.raises(TypeError, match='suffix is for files'):
        list(FileClient().list_dir_or_file('.', suffix='.png'))


class OldDataset(CustomDataset):
    """Lists files as data sets of MMSegmentation do."""

    CLASSES = ('a', 'b')

    def load_annotations(self, img_dir, img_suffix, ann_dir, seg_map_suffix, split):
        names = self.file_client.list_dir_or_file(img_dir, list_dir=False, suffix=img_suffix)
        return [{'filename': name, 'ann': {'seg_map': name}} for name in names]


class OldLoad(LoadImageFromFile):
    """Reads files as transforms of MMSegmentation do."""

    def __call__(self, results):
        if self.file_client is None:
            self.file_client = FileClient(**self.file_client_args)
        content = self.file_client.get(results['img_info']['filename'])
        results['img'] = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
        return results


def test_data_sets_and_transforms_written_for_it_work(tmp_path):
    image = np.full((4, 5, 3), 7, np.uint8)
    cv2.imwrite(str(tmp_path / 'x.png'), image)
    dataset = OldDataset([], img_dir=str(tmp_path), img_suffix='.png')
    assert [info['filename'] for info in dataset.img_infos] == ['x.png']
    load = OldLoad()
    load.file_client = None
    results = load({'img_info': {'filename': str(tmp_path / 'x.png')}})
    np.testing.assert_array_equal(results['img'], image)
