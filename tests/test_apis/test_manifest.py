"""What a run says of itself, and how data sets are told apart."""

import json

import pytest

from msseg.apis.work_dir import collect_manifest, fingerprint, read_git_state, write_manifest
from msseg.config import Config
from msseg.datasets import build_dataset
from tests.tiny import write_discs


def discs(root, **arguments):
    return build_dataset(
        dict(
            type='CustomDataset', data_root=str(root), img_dir='images', ann_dir='labels',
            img_suffix='.png', classes=('ground', 'disc'), pipeline=[], **arguments,
        )
    )  # fmt: skip


def test_fingerprint_does_not_depend_on_the_folder(tmp_path):
    (write_discs(tmp_path / 'a'), write_discs(tmp_path / 'b'))
    ours = fingerprint(discs(tmp_path / 'a'))
    assert ours == fingerprint(discs(tmp_path / 'b'))
    assert ours['samples'] == 6 and len(ours['sha256']) == 64


@pytest.mark.parametrize('change', ['image', 'label', 'name'])
def test_fingerprint_tells_other_files(tmp_path, change):
    root = write_discs(tmp_path)
    before = fingerprint(discs(root))
    if change == 'name':
        for folder in ('images', 'labels'):
            (root / folder / 'disc_5.png').rename(root / folder / 'disc_6.png')
    else:
        with (root / f'{change}s' / 'disc_3.png').open('ab') as file:
            file.write(b'.')
    after = fingerprint(discs(root))
    assert after['samples'] == before['samples'] == 6
    assert after['sha256'] != before['sha256']


def test_fingerprint_of_wrapped_data_sets_and_of_one_without_a_list(tmp_path):
    root = write_discs(tmp_path)
    part = dict(
        type='CustomDataset', data_root=str(root), ann_dir='labels', img_suffix='.png',
        classes=('ground', 'disc'), pipeline=[],
    )  # fmt: skip
    two = fingerprint(
        build_dataset(dict(part, img_dir=['images', 'images'], ann_dir=['labels'] * 2))
    )
    repeated = dict(type='RepeatDataset', times=2, dataset=dict(part, img_dir='images'))
    assert two['samples'] == 12
    assert fingerprint(build_dataset(repeated)) == two
    assert fingerprint([1, 2, 3]) == {'samples': 3, 'sha256': None}


def test_manifest_is_a_file_of_plain_values(tmp_path):
    cfg = Config({'optimizer': {'lr': 0.1}, 'seed': 3})
    data = {'train': discs(write_discs(tmp_path / 'data'))}
    manifest = collect_manifest(cfg.pretty_text, cfg.seed, data)
    path = write_manifest(tmp_path, manifest)
    assert path.name == 'manifest.json' and json.loads(path.read_text()) == manifest
    assert manifest['seed'] == 3 and manifest['config'] == cfg.pretty_text
    assert (manifest['device'], manifest['world_size']) == ('CPU', 1)
    assert manifest['deterministic'] is False
    assert manifest['data']['train']['samples'] == 6
    assert {'versions', 'git', 'command', 'started'} <= set(manifest)


GIT = """#!/bin/sh
[ "$1 $2 $3" = "--no-optional-locks -C {folder}" ] || exit 9
case "$4" in
    ls-files) exit {ls_files};;
    rev-parse) echo 0123abcd;;
    status) printf '{status}';;
esac
"""


@pytest.mark.parametrize(
    ('ls_files', 'status', 'state'),
    [
        (0, '', {'commit': '0123abcd', 'dirty': False}),
        (0, ' M train.py\\n', {'commit': '0123abcd', 'dirty': True}),
        (1, '', None),  # installed into a folder of another repository
        (128, '', None),
    ],
)
def test_git_state(tmp_path, monkeypatch, ls_files, status, state):
    git = tmp_path / 'git'
    git.write_text(GIT.format(folder=tmp_path, ls_files=ls_files, status=status))
    git.chmod(0o755)
    monkeypatch.setenv('PATH', str(tmp_path))
    assert read_git_state(tmp_path) == state


def test_machine_without_git(tmp_path, monkeypatch):
    monkeypatch.setenv('PATH', str(tmp_path))
    assert read_git_state(tmp_path) is None
