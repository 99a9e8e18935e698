"""Users' text files as editors of all kinds write them."""

from __future__ import annotations

import codecs
import os

import numpy as np
import pytest

from msseg.datasets import build_dataset
from msseg.deploy.metadata import read_sidecar
from msseg.models.losses.common import read_class_weight
from msseg.reports.curves import read_log
from msseg.utils.text_file import read_user_lines, read_user_text


@pytest.mark.parametrize(
    'content',
    [
        'ground\n冰\n'.encode(),
        codecs.BOM_UTF8 + 'ground\r\n冰\r\n'.encode(),
        '\n ground \n\n冰\t\n\n'.encode(),
        'ground\n冰'.encode('utf-16'),
        codecs.BOM_UTF16_BE + 'ground\r\n冰\r\n'.encode('utf-16-be'),
    ],
)
def test_marks_blank_lines_and_spaces_are_no_names(tmp_path, content):
    (tmp_path / 'x.txt').write_bytes(content)
    assert [name for _, name in read_user_lines(tmp_path / 'x.txt', 'it')] == ['ground', '冰']


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        ('a\n图像\n'.encode('gbk'), 'it is not UTF-8 text: line 2 has the byte 0xcf; save it as'),
        ('ab'.encode('utf-16-le'), 'it is no text file: it has zero bytes'),
        (codecs.BOM_UTF16_LE + b'a', 'it is not UTF-8 text'),
        (b'\x89PNG\r\n\x1a\n\0\0', 'it is not UTF-8 text: line 1 has the byte 0x89'),
        (codecs.BOM_UTF8 + b'\n \n', 'it is empty'),
        (b'', 'it is empty'),
    ],
)
def test_other_files_are_refused(tmp_path, content, message):
    (tmp_path / 'x.txt').write_bytes(content)
    with pytest.raises(ValueError, match=message):
        read_user_lines(tmp_path / 'x.txt', 'it')


def test_a_pipe_is_refused(tmp_path):
    os.mkfifo(tmp_path / 'x.txt')
    with pytest.raises(ValueError, match='it is no file'):
        read_user_text(tmp_path / 'x.txt', 'it')


def test_text_keeps_its_lines(tmp_path):
    (tmp_path / 'x.json').write_bytes(codecs.BOM_UTF8 + b'{\r\n}')
    assert read_user_text(tmp_path / 'x.json', 'it') == '{\r\n}'


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ('images/a.png', 'images/b c.png', 'labels/a.png', 'labels/b c.png'):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


def build(**more):
    paths = dict(img_dir='images', ann_dir='labels', img_suffix='.png', pipeline=[])
    return build_dataset({'type': 'CustomDataset', 'classes': ['x', 'y'], **paths, **more})


@pytest.mark.parametrize('content', [codecs.BOM_UTF8 + b'ground\r\ndisc\r\n\r\n', b'ground \ndisc'])
def test_class_files(folder, content):
    (folder / 'c.txt').write_bytes(content)
    assert list(build(classes='c.txt').CLASSES) == ['ground', 'disc']


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        (b'ground\n\n ground\n', "classes='c.txt': lines 1 and 3 are both 'ground'"),
        ('冰\n'.encode('gbk'), "CustomDataset: classes='c.txt' is not UTF-8 text: line 1"),
        (b'\n', "classes='c.txt' is empty"),
    ],
)
def test_class_files_that_are_refused(folder, content, message):
    (folder / 'c.txt').write_bytes(content)
    with pytest.raises(ValueError, match=message):
        build(classes='c.txt')


def test_split_files(folder):
    (folder / 's.txt').write_bytes(codecs.BOM_UTF8 + b'a\r\n\r\nb c\r\n')
    names = [info['filename'] for info in build(split='s.txt').img_infos]
    assert names == ['a.png', 'b c.png']
    (folder / 's.txt').write_bytes('图像\r\n'.encode('gbk'))
    with pytest.raises(ValueError, match="split='s.txt' is not UTF-8 text: line 1 has the byte"):
        build(split='s.txt')


def test_pairs_may_be_separated_by_a_tab(folder):
    lines = ['a.png a.png', 'b c.png\tb c.png', 'a.png \t a.png\t']
    (folder / 's.lst').write_text('\n'.join(lines))
    pairs = [(i['filename'], i['ann']['seg_map']) for i in build(split='s.lst').img_infos]
    assert pairs == [('a.png', 'a.png'), ('b c.png', 'b c.png'), ('a.png', 'a.png')]
    (folder / 's.lst').write_text('b c.png b c.png')
    with pytest.raises(ValueError, match=r"s.lst, line 1 is 'b c.png b c.png'.* a tab"):
        build(split='s.lst')


def test_class_weight_files(tmp_path):
    for name, text in (('a.json', '[1, 2]'), ('b.yaml', '- 1\n- 2')):
        (tmp_path / name).write_bytes(codecs.BOM_UTF8 + text.encode())
        assert read_class_weight(str(tmp_path / name)) == [1, 2]
    for name, text in (('c.json', '[1,'), ('d.yaml', '[1'), ('e.json', '[' * 100_000),
                       ('f.yaml', '!!python/name:os.system x'), ('g.npy', 'x')):  # fmt: skip
        (tmp_path / name).write_text(text)
        with pytest.raises(ValueError, match=rf"class_weight file '.*{name}' cannot be read: ."):
            read_class_weight(str(tmp_path / name))
    np.save(tmp_path / 'h.npy', np.array([object()]), allow_pickle=True)
    with pytest.raises(ValueError, match=r"h.npy' cannot be read: Object arrays cannot be loaded"):
        read_class_weight(str(tmp_path / 'h.npy'))


def test_folders_that_are_empty_names_or_the_root(folder):
    with pytest.raises(FileNotFoundError, match='_dir and data_root are empty'):
        build(img_dir='', ann_dir='')
    for root in ('/', '//', '/tmp/..'):
        with pytest.raises(FileNotFoundError, match=r"img_dir='.*' is the root of all files"):
            build(img_dir=root)


def test_links_in_a_circle_end(folder):
    for name in 'bcde':
        (folder / 'images' / name).mkdir()
    for one in 'bcde':
        for other in 'bcde':
            (folder / 'images' / one / f'to_{other}').symlink_to(folder / 'images' / other)
        (folder / 'images' / one / 'up').symlink_to(folder / 'images')
    names = [info['filename'] for info in build(ann_dir=None, test_mode=True).img_infos]
    assert names == ['a.png', 'b c.png']


@pytest.mark.parametrize('content', [b'[' * 100_000, b'\xff\xfe{', b'{"a":' * 20_000, b'\0', b'[]'])
def test_metadata_and_logs_that_are_none_name_the_file(tmp_path, content):
    (tmp_path / 'x.mindir').write_bytes(b'model')
    for name, read in (('x.mindir.json', read_sidecar), ('x.log.json', read_log)):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ValueError, match=r'x\.(mindir|log)\.json'):
            read(tmp_path / ('x.mindir' if read is read_sidecar else name))
