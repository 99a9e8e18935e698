import logging
import shutil
from pathlib import Path

import numpy as np
import pytest

from msseg.apis.image_inputs import find_inputs
from msseg.datasets.result_files import write_label_file


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def make(*names):
        for name in names:
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()

    return make


def names_of(*arguments, **options):
    return {i.path.name: i.name for i in find_inputs(arguments, **options)}


def test_a_folder_is_searched_to_any_depth(files):
    files('in/b.jpg', 'in/a/c.PNG', 'in/a/d/e.tiff', 'in/notes.txt', 'in/.hidden.jpg', 'in/f.mp4')
    found = find_inputs(['in'])
    assert [i.name for i in found] == ['a/c', 'a/d/e', 'b', 'f']
    assert [i.name for i in found if i.is_video] == ['f']


def test_files_of_other_kinds_are_said_to_be_skipped_in_one_line(files, caplog):
    files('in/a.png', 'in/b.nc', 'in/c.gif', 'in/d/e.heic', 'in/f', 'in/.hidden', 'in/out/x.csv')
    assert names_of('in', without='in/out') == {'a.png': 'a'}
    assert names_of('in/*', without='in/out') == {'a.png': 'a'}
    folder, pattern = caplog.messages
    assert folder.startswith('skipped 4 files that have no suffix of an image or video: b.nc, c.gi')
    assert 'e.heic and 1 more; name such a file by itself' in folder
    assert pattern.startswith('skipped 3 files') and ': b.nc, c.gif, f; name' in pattern
    caplog.clear()
    names_of('in/[ab]*')
    assert 'skipped a file that has no suffix of an image or video: b.nc; ' in caplog.text


def test_one_subfolder_keeps_its_place(files):
    files('in/deep/er/a.png')
    assert names_of('in') == {'a.png': 'deep/er/a'}


def test_patterns_are_expanded(files):
    files('in/a/1.png', 'in/b/2.png', 'in/b/3.jpg', 'in/b/4.txt')
    assert names_of('in/**/*.png') == {'1.png': 'a/1', '2.png': 'b/2'}
    assert names_of('in/b/*') == {'2.png': '2', '3.jpg': '3'}
    assert names_of('in/?/[12].png').keys() == {'1.png', '2.png'}


def test_equal_names_in_different_folders_stay_apart(files):
    files('one/a.png', 'two/a.png', 'two/b/a.png')
    assert [i.name for i in find_inputs(['one', 'two'])] == ['one/a', 'two/a', 'two/b/a']
    assert [i.name for i in find_inputs(['one/a.png', 'two/a.png'])] == ['one/a', 'two/a']


def test_equal_stems_in_one_folder_keep_their_suffixes(files):
    files('in/a.png', 'in/a.jpg', 'in/b.png', 'in/B.jpg', 'in/c.png')
    names = {i.path.name: i.name for i in find_inputs(['in'])}
    assert names == {
        'a.png': 'a.png', 'a.jpg': 'a.jpg', 'b.png': 'b.png', 'B.jpg': 'B.jpg', 'c.png': 'c'
    }  # fmt: skip


def test_a_name_like_anothers_with_suffix_stays_apart(files):
    files('in/a.png', 'in/a.jpg', 'in/a.jpg.png')
    found = [i.name for i in find_inputs(['in'])]
    assert len(set(found)) == 3


def test_a_file_named_twice_comes_once(files):
    files('in/a.png', 'in/b.png')
    assert [i.name for i in find_inputs(['in/b.png', 'in', './in/a.png'])] == ['b', 'a']


def test_earlier_results_are_left_out_unless_asked_for(files):
    files('in/a.png', 'in/out/labels/a.png')
    assert names_of('in', without='in/out') == {'a.png': 'a'}
    assert [i.name for i in find_inputs(['in/out/labels/a.png'], without='in/out')] == ['a']


def test_results_of_other_runs_are_left_out_with_a_warning_unless_asked_for(files, caplog):
    files('in/a.png', 'in/old/labels/notes.txt')
    written = Path('in/old/labels/a.png')
    write_label_file(written, np.zeros((2, 2), np.uint8))
    shutil.copy(written, 'in/old/labels/b.png')
    with caplog.at_level(logging.WARNING):
        assert [i.name for i in find_inputs(['in'], without='in')] == ['a']
        assert [i.name for i in find_inputs(['in/**/*.png'], without='out')] == ['a']
    message = caplog.records[0].getMessage()
    assert str(written) in message and 'and 1 more like it' in message
    caplog.clear()
    assert [i.name for i in find_inputs([written], without='out')] == ['a']
    assert caplog.records == []


def test_files_of_other_suffixes_are_tried_when_named(files):
    files('photo.heic')
    assert names_of('photo.heic') == {'photo.heic': 'photo'}


@pytest.mark.parametrize(
    ('argument', 'message'),
    [
        ('absent.png', "'absent.png': there is no such file or folder"),
        ('in/*.jpg', r"pattern 'in/\*.jpg' matches no image or video"),
        ('empty', "folder 'empty' holds no image or video"),
    ],
)
def test_what_names_nothing_is_told(files, argument, message):
    files('in/a.png', 'empty/notes.txt')
    with pytest.raises(FileNotFoundError, match=message):
        find_inputs(['in', argument])


def test_only_earlier_results_are_nothing(files):
    files('in/out/a.png')
    with pytest.raises(FileNotFoundError, match='there is no image or video in in'):
        find_inputs(['in'], without='in/out')


def test_frames_and_pages_have_a_folder_of_their_own(files):
    files('in/scan.tif', 'in/scan/000.png', 'in/clip.mp4', 'in/clip/000000.png', 'in/plain.tif')
    names = names_of('in')
    assert names['scan.tif'] == 'scan.tif' and names['000.png'] == 'scan/000'
    assert names['clip.mp4'] == 'clip.mp4' and names['000000.png'] == 'clip/000000'
    assert names['plain.tif'] == 'plain'


def test_names_that_differ_only_in_case_are_told_apart(files):
    files('in/a.png', 'in/A.png')
    assert [i.name.lower() for i in find_inputs(['in'])] == ['a.png', 'a.png~2']


def test_images_in_the_folder_for_results_are_found(files):
    files('data/images/a.png', 'data/labels/a.png', 'data/overlays/a.png', 'data/b.png')
    assert names_of('data/images', without='data') == {'a.png': 'a'}
    assert names_of('data', without='data') == {'a.png': 'images/a', 'b.png': 'b'}
