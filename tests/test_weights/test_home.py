"""Where the file of a name or an address lies, and when it is fetched."""

import hashlib

import pytest

from msseg.weights import (
    DownloadError,
    downloads_allowed,
    fetch,
    find_entry,
    find_file,
    list_entries,
    local_file,
    parse_source,
    place_of,
)
from tests.https_server import File


def test_nothing_is_fetched_unless_the_user_says_so(server, tmp_path, monkeypatch):
    name = 'open-mmlab://resnet18_v1c'
    monkeypatch.setenv('MSSEG_MIRROR', server.address)
    address = '/download.openmmlab.com/pretrain/third_party/resnet18_v1c-b5776b93.pth'
    with pytest.raises(FileNotFoundError, match='or have it fetched with --download or MSSEG_DOW'):
        find_file(name, 'load_from')
    assert server.asked == []
    monkeypatch.setenv('MSSEG_DOWNLOAD', '1')
    with pytest.raises(FileNotFoundError):
        find_file(name, 'load_from', may_fetch=False)
    assert server.asked == []
    server.files[address] = File(b'no weights')
    with pytest.raises(DownloadError, match='expected b5776b93'):
        find_file(name, 'load_from')
    assert server.asked == [(address, '')]


def test_what_is_fetched_once_is_found_without_a_server(server, tmp_path, monkeypatch):
    content = b'weights'
    digits = hashlib.sha256(content).hexdigest()[:8]
    server.files[f'/a/w-{digits}.pth'] = File(content)
    address = f'{server.address}/a/w-{digits}.pth'
    path = find_file(address, 'load_from', may_fetch=True)
    assert path == tmp_path / 'home' / f'w-{digits}.pth'
    assert path.read_bytes() == content
    assert find_file(address, 'load_from') == path
    assert len(server.asked) == 1


def test_the_config_of_hugging_faces_models_comes_first(server, tmp_path, monkeypatch):
    monkeypatch.setenv('MSSEG_MIRROR', f'huggingface.co={server.address}/hub')
    folder = '/hub/owner/net/resolve/main'
    server.files = {f'{folder}/config.json': File(b'{}')}
    entry = parse_source('hf://owner/net', 'load_from')
    with pytest.raises(DownloadError, match='404'):
        fetch(entry)
    assert local_file(entry) is None
    server.files[f'{folder}/model.safetensors'] = File(b'weights')
    path = fetch(entry)
    assert path == tmp_path / 'home' / 'owner' / 'net' / 'model.safetensors'
    assert (path.with_name('config.json')).read_bytes() == b'{}'
    asked = [name.rpartition('/')[2] for name, _ in server.asked]
    assert asked == ['config.json', 'model.safetensors', 'model.safetensors']


@pytest.mark.parametrize(
    ('source', 'address', 'file'),
    [
        ('hf://a/b', 'a/b/resolve/main/model.safetensors', 'a/b/model.safetensors'),
        ('hf://a/b:x/w.bin', 'a/b/resolve/main/x/w.bin', 'a/b/x/w.bin'),
        ('hf://a/b@v2:w.bin', 'a/b/resolve/v2/w.bin', 'a/b@v2/w.bin'),
        ('huggingface://a/b', 'a/b/resolve/main/model.safetensors', 'a/b/model.safetensors'),
    ],
)
def test_any_repository_of_hugging_face_has_an_address(source, address, file):
    entry = parse_source(source, 'load_from')
    assert (entry.address, entry.file) == (f'https://huggingface.co/{address}', file)


@pytest.mark.parametrize(
    'source', ['hf://a', 'hf://a/b/c', 'hf://../b', 'hf://a/b:../../w', 'hf://']
)
def test_wrong_repositories(source):
    with pytest.raises(ValueError, match="expected 'hf://OWNER/NAME'"):
        parse_source(source, 'load_from')


@pytest.mark.parametrize(
    ('address', 'file'),
    [
        ('https://a.org/x/w.pth', 'a.org/x/w.pth'),
        ('https://a.org:8443/x/w.pth', 'a.org_8443/x/w.pth'),
        ('https://a.org/../../etc/.w.pth', 'a.org/_/_/etc/w.pth'),
        ('https://a.org/%2e%2e/w%20.pth#part', 'a.org/_2e_2e/w_20.pth'),
        ('https://a.org/w?file=/etc/passwd', f'a.org/{"x" * 8}/w'),
        ('https://a.org/x/w-0123abcd.pth?download=1', 'w-0123abcd.pth'),
        ('http://a.org/x/w.pth', 'a.org/x/w.pth'),
        ('https://a.org/x/w-20210831.pth', 'a.org/x/w-20210831.pth'),
    ],
)
def test_addresses_have_places_of_their_own(address, file):
    entry = parse_source(address, 'load_from')
    query = hashlib.sha256(address.partition('?')[2].encode()).hexdigest()[:8]
    assert entry.file == file.replace('x' * 8, query)
    assert entry.digits == ('0123abcd' if '0123abcd' in address else '')


@pytest.mark.parametrize(
    ('source', 'words'),
    [
        ('https://', 'expected the address of a file'),
        ('https://a.org', 'expected the address of a file'),
        ('https://a.org/x/', 'expected the address of a file'),
        ('https://me:secret@a.org/w.pth', 'the address holds a password'),
        ('open-mmlab://resnet50v1c', "Did you mean 'open-mmlab://resnet50_v1c'"),
        ('mmseg://ocrnet_hr18_40k', "msseg weights list 'mmseg://[*]' shows all"),
        ('pavi://x', "names that start with 'pavi' are not known, expected .*'torchvision://'"),
    ],
)
def test_wrong_sources(source, words):
    with pytest.raises(ValueError, match=words) as caught:
        parse_source(source, 'load_from')
    assert 'secret' not in str(caught.value)


@pytest.mark.parametrize(
    ('other', 'name'),
    [
        ('modelzoo://resnet50', 'torchvision://resnet50'),
        ('openmmlab://resnet50_v1c', 'open-mmlab://resnet50_v1c'),
        ('OPEN-MMLAB://resnet50_v1c', 'open-mmlab://resnet50_v1c'),
    ],
)
def test_mmcvs_other_schemes(other, name):
    assert parse_source(other, 'load_from').name == name


def test_names_on_command_lines_need_no_scheme_where_they_are_clear():
    assert find_entry('resnet50_v1c').name == 'open-mmlab://resnet50_v1c'
    with pytest.raises(KeyError, match=r"stands for 3 files, expected one of \['\w+://resnet50'"):
        find_entry('resnet50')
    with pytest.raises(KeyError, match="Did you mean 'resnest101'"):
        find_entry('resnest10')


def test_files_that_lie_in_the_folder_itself_are_found_and_said(monkeypatch, tmp_path, caplog):
    monkeypatch.setenv('MSSEG_HOME', str(tmp_path))
    entry = parse_source('https://a.org/x/w.pth', 'load_from')
    assert local_file(entry) is None
    (tmp_path / 'w.pth').touch()
    assert local_file(entry) == tmp_path / 'w.pth'
    assert 'taken for https://a.org/x/w.pth by its name alone' in caplog.text
    place_of(entry).parent.mkdir(parents=True)
    place_of(entry).with_suffix('.ckpt').touch()
    assert local_file(entry) == place_of(entry).with_suffix('.ckpt')
    (tmp_path / 'model.safetensors').touch()  # the name of a thousand files
    assert local_file(parse_source('hf://owner/net', 'load_from')) is None
    assert local_file(find_entry('timm://hrnet_w18.ms_in1k')) is None


@pytest.mark.parametrize(
    ('value', 'allowed'), [('', False), ('0', False), ('1', True), (' 1', True)]
)
def test_the_variable_that_allows_fetching(monkeypatch, value, allowed):
    monkeypatch.setenv('MSSEG_DOWNLOAD', value)
    assert downloads_allowed() is allowed


def test_another_value_of_the_variable_is_refused(monkeypatch):
    monkeypatch.setenv('MSSEG_DOWNLOAD', 'yes')
    with pytest.raises(ValueError, match="MSSEG_DOWNLOAD is 'yes', expected 1 or 0"):
        downloads_allowed()


def test_patterns_choose_entries():
    names = [entry.name for entry in list_entries('ocrnet_hr18s_512x1024_*')]
    assert names == [f'mmseg://ocrnet_hr18s_512x1024_{n}k_cityscapes' for n in (160, 40, 80)]
    assert {entry.kind for entry in list_entries('torchvision://*')} == {'backbone'}
    assert list_entries('nothing') == []
