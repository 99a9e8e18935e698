"""The command msseg weights."""

import hashlib
import json

import pytest

from msseg.commands.weights import main
from msseg.weights import find_entry, place_of
from tests.https_server import File


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv('MSSEG_HOME', str(tmp_path))
    return tmp_path


def test_the_list_has_sizes_scores_and_what_is_here(home, capsys):
    entry = find_entry('ocrnet_hr18_512x1024_40k_cityscapes')
    place_of(entry).touch()
    main(['list', 'ocrnet_hr18_512x1024_*'])
    head, *rows = capsys.readouterr().out.splitlines()
    assert head.split() == ['name', 'MB', 'score', 'on', 'here']
    assert len(rows) == 3
    here = [row.split() for row in rows if row.endswith('yes')]
    assert here == [[entry.name, f'~{entry.megabytes:.1f}', '77.72', 'Cityscapes', 'yes']]
    main(['list', '--here'])
    assert len(capsys.readouterr().out.splitlines()) == 2


def test_the_json_has_all_that_is_known(home, capsys):
    main(['list', 'torchvision://resnet18', '--json'])
    row = json.loads(capsys.readouterr().out)['torchvision://resnet18']
    assert row['address'] == 'https://download.pytorch.org/models/resnet18-f37072fd.pth'
    assert (row['digits'], row['licence'], row['fits']) == (
        'f37072fd', 'BSD-3-Clause', 'ResNet(depth=18)',
    )  # fmt: skip
    assert row['path'] == str(home / 'resnet18-f37072fd.pth') and row['is_here'] is False
    assert row['statistics']['mean'] == [123.675, 116.28, 103.53]


def test_patterns_that_match_nothing_are_refused(home):
    with pytest.raises(KeyError, match="Did you mean 'resnet18_v1c'"):
        main(['list', 'resnet18_v1x'])


def test_get_prints_the_paths_and_wants_all_names_right_before_the_first(
    server, tmp_path, capsys, monkeypatch
):
    monkeypatch.setenv('MSSEG_MIRROR', f'a.org={server.address}')
    digits = hashlib.sha256(b'w').hexdigest()[:8]
    server.files = {f'/w-{digits}.pth': File(b'w'), '/x/v.pth': File(b'v')}
    addresses = [f'https://a.org/w-{digits}.pth', 'https://a.org/x/v.pth']
    with pytest.raises(KeyError, match="no weights are called 'nothing'"):
        main(['get', addresses[0], 'nothing'])
    assert server.asked == []
    for _ in range(2):  # the second time they are there
        main(['get', *addresses])
        home = tmp_path / 'home'
        paths = [home / f'w-{digits}.pth', home / 'a.org' / 'x' / 'v.pth']
        assert capsys.readouterr().out.splitlines() == list(map(str, paths))
    assert len(server.asked) == 2


def test_check_finds_files_that_are_not_what_their_name_says(home, capsys):
    names = ('resnet18_v1c', 'resnet50_v1c', 'hrnet_w18.ms_in1k')
    good, bad, other = map(find_entry, names)
    place_of(bad).write_bytes(b'damaged')
    place_of(other).parent.mkdir(parents=True)
    place_of(other).write_bytes(b'no hash is known')
    place_of(good).with_suffix('.ckpt').write_bytes(b'converted')
    (home / '.x.pth.part').write_bytes(b'cut')
    own = home / 'a.org' / 'w-01234567.pth'
    own.parent.mkdir()
    own.write_bytes(b'from an address')
    assert main(['check', '--json']) == 1
    results = json.loads(capsys.readouterr().out)
    assert results[bad.name].startswith('WRONG: ') and bad.digits in results[bad.name]
    assert 'no SHA-256 is known' in results[other.name]
    assert 'converted from it, not checked' in results[good.name]
    assert results[str(home / '.x.pth.part')].startswith('arrived in part')
    assert results[str(own)].startswith('WRONG: ')
    own.unlink()
    place_of(bad).unlink()
    assert main(['check']) == 0
    assert main(['check', bad.name]) == 1
    assert f'{bad.name}: not here' in capsys.readouterr().out


def test_check_says_what_is_right(home, capsys):
    address = f'https://a.org/w-{hashlib.sha256(b"w").hexdigest()[:8]}.pth'
    place_of(find_entry(address)).write_bytes(b'w')
    assert main(['check', address]) == 0
    out = capsys.readouterr().out
    assert f'{address}: right (' in out and '1 of 1 files' in out
