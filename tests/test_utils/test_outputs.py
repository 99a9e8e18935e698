"""Results below their folder, over nothing of the user's."""

import os
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from msseg.utils.outputs import Outputs, are_unique, mark_png, unique_names

GREY = cv2.imencode('.png', np.full((4, 5), 7, np.uint8))[1].tobytes()


def test_names_start_from_what_files_have_in_common():
    assert unique_names(['/d/north/1.png', '/d/south/1.png']) == ['north/1', 'south/1']
    assert unique_names(['/d/n/1.png'], ['/d']) == ['n/1']
    assert unique_names(['/d/n/1.png', '/other/1.png'], ['/d']) == ['d/n/1', 'other/1']
    assert unique_names(['/d/n/../../e/1.png'], ['/d']) == ['e/1']
    assert unique_names([]) == []


def test_equal_names_keep_their_suffixes():
    assert unique_names(['/d/a.jpg', '/d/a.png', '/d/b.png']) == ['a.jpg', 'a.png', 'b']
    three = unique_names(['/d/a.jpg', '/d/a.png', '/d/a.jpg.png'])
    assert three == ['a.jpg', 'a.png', 'a.jpg.png']


def test_names_that_differ_only_in_case_or_in_composition_are_numbered():
    assert unique_names(['/d/A.png', '/d/a.png']) == ['A.png', 'a.png~2']
    composed, decomposed = '/d/\u00e9.png', '/d/e\u0301.png'
    assert are_unique(unique_names([composed, decomposed]))
    assert unique_names(['/d/a.png'] * 3) == ['a.png', 'a.png~2', 'a.png~3']
    assert are_unique(unique_names(['/d/a.png', '/d/a.png', '/d/a.png~2.jpg', '/d/a.jpg']))


@pytest.mark.parametrize('name', ['/x/a.png', '../a.png', 'b/../../a.png', 'b/../a.png'])
def test_names_that_leave_the_folder_are_refused(tmp_path, name):
    with pytest.raises(ValueError, match=r"--out: the result '.*a\.png' would be written to"):
        Outputs().files(tmp_path / 'out', [name], '--out')


def test_links_that_leave_the_folder_are_refused(tmp_path):
    out, elsewhere = tmp_path / 'out', tmp_path / 'elsewhere'
    out.mkdir()
    elsewhere.mkdir()
    (out / 'deep').symlink_to(elsewhere)
    (out / 'a.png').symlink_to(elsewhere / 'new.png')
    (out / 'inside').mkdir()
    (out / 'link').symlink_to('inside')
    for name in ('deep/a.png', 'deep/deeper/a.png', 'a.png'):
        with pytest.raises(ValueError, match=r'outside of .*out'):
            Outputs().files(out, [name], '--out')
    assert Outputs().files(out, ['link/a.png'], '--out') == [out / 'link/a.png']
    # the folder itself may be a link: the user has named it
    (tmp_path / 'named').symlink_to(out)
    Outputs().files(tmp_path / 'named', ['b.png'], '--out')


@pytest.mark.parametrize('make', [os.symlink, os.link, lambda source, target: None])
def test_inputs_are_not_replaced(tmp_path, make):
    source = tmp_path / 'out' / 'photo.png'
    source.parent.mkdir()
    source.write_bytes(GREY)
    target = tmp_path / 'out' / 'result.png'
    make(source, target)
    target = target if target.exists() else source
    outputs = Outputs([tmp_path / 'missing.png', None, tmp_path / 'out/../out/photo.png'])
    with pytest.raises(ValueError, match=r"would replace the input '.*photo\.png'"):
        outputs.files(tmp_path / 'out', [target.name], '--out')
    with pytest.raises(ValueError, match=r'--json: .* would replace the input'):
        outputs.file(target, '--json')


def test_two_results_never_share_a_place(tmp_path):
    outputs = Outputs()
    outputs.files(tmp_path, ['a.png', 'b/a.png'], '--show-dir')
    with pytest.raises(ValueError, match=r'--format-dir: .*A\.png.* twice.*--show-dir'):
        outputs.files(tmp_path, ['A.png'], '--format-dir')
    with pytest.raises(ValueError, match=r'--out: .*twice'):
        outputs.file(tmp_path / 'b' / '..' / 'b' / 'a.png', '--out')
    with pytest.raises(ValueError, match=r'--x: .*twice'):
        outputs.files(tmp_path, ['c.png', 'c.png'], '--x')


def test_only_results_of_msseg_are_replaced_in_a_folder(tmp_path):
    (tmp_path / 'ours.png').write_bytes(mark_png(GREY))
    (tmp_path / 'users.png').write_bytes(GREY)
    (tmp_path / 'page.html').write_text('<html>mine</html>')
    (tmp_path / 'video').mkdir()
    (tmp_path / 'video' / '000000.png').write_bytes(mark_png(GREY))
    Outputs().files(tmp_path, ['ours.png', 'new.png', 'video'], '--out')
    for name in ('users.png', 'page.html'):
        with pytest.raises(FileExistsError, match=rf'{name}.* was not written by msseg'):
            Outputs().files(tmp_path, [name], '--out')
    (tmp_path / 'video' / '000001.png').write_bytes(GREY)
    with pytest.raises(FileExistsError, match='video'):
        Outputs().files(tmp_path, ['video'], '--out')


def test_folders_and_files_are_not_taken_for_each_other(tmp_path):
    (tmp_path / 'file').touch()
    with pytest.raises(NotADirectoryError, match='--out is .*file.*; name a folder'):
        Outputs().files(tmp_path / 'file', ['a.png'], '--out')
    with pytest.raises(IsADirectoryError, match='--out is .*which is a folder'):
        Outputs().file(tmp_path, '--out')


def test_a_single_picture_of_the_users_is_kept_too(tmp_path):
    path = tmp_path / 'a.png'
    path.write_bytes(GREY)
    with pytest.raises(FileExistsError, match=r"--out: '.*a\.png' is there already and was not"):
        Outputs().file(path, '--out')
    path.write_bytes(b'')  # as tempfile makes them
    assert Outputs().file(path, '--out') == path
    path.write_bytes(mark_png(GREY))
    assert Outputs().file(path, '--out') == path
    (tmp_path / 'a.jpg').write_bytes(GREY)
    with pytest.raises(FileExistsError, match=r"--json: '.*a\.jpg' is .* no \.json file"):
        Outputs().file(tmp_path / 'a.jpg', '--json', '.json')
    assert Outputs().file(tmp_path / 'new.txt', '--json', '.json') == tmp_path / 'new.txt'


def test_a_pipe_is_not_read(tmp_path):
    os.mkfifo(tmp_path / 'a.png')
    with pytest.raises(FileExistsError, match='was not written by msseg'):
        Outputs().files(tmp_path, ['a.png'], '--out')


def test_a_marked_picture_is_a_whole_picture(tmp_path):
    path = Path(tmp_path, 'a.png')
    path.write_bytes(mark_png(GREY))
    with Image.open(path) as image:
        assert np.array(image).tolist() == [[7] * 5] * 4
        assert image.text == {'Software': 'msseg'}


def test_a_file_of_another_kind_than_the_result_is_never_replaced(tmp_path):
    for name in ('mine.py', 'iter_4.ckpt', 'notes.txt', 'old.JSON'):
        (tmp_path / name).write_text('mine')
    for name in ('mine.py', 'iter_4.ckpt'):
        with pytest.raises(FileExistsError, match=r'is there already and is no \.json or \.txt'):
            Outputs().file(tmp_path / name, '--report', '.json', '.txt', '')
    for name in ('notes.txt', 'old.JSON', 'new.py'):
        assert Outputs().file(tmp_path / name, '--report', '.json', '.txt') == tmp_path / name
