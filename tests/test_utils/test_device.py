import os

from msseg.utils.device import separate_compile_cache, switch_off_compile_cache


def test_nothing_happens_without_the_cache(monkeypatch):
    monkeypatch.delenv('MS_COMPILER_CACHE_ENABLE', raising=False)
    assert separate_compile_cache('train', 'a config') is None


def test_what_graphs_depend_on_has_a_folder_of_its_own(monkeypatch, tmp_path):
    monkeypatch.setenv('MS_COMPILER_CACHE_ENABLE', '1')
    monkeypatch.setenv('MS_COMPILER_CACHE_PATH', str(tmp_path))
    folders = [
        separate_compile_cache(*parts)
        for parts in (('train', 'a'), ('train', 'b'), ('test', 'a'), ('train', 'a'), ('traina',))
    ]
    assert len(set(folders)) == 4 and folders[0] == folders[3]
    assert {folder.parent for folder in folders} == {tmp_path}


def test_the_cache_can_be_switched_off_for_a_process(monkeypatch):
    monkeypatch.setenv('MS_COMPILER_CACHE_ENABLE', '1')
    switch_off_compile_cache()
    assert os.environ['MS_COMPILER_CACHE_ENABLE'] == '0'
    assert separate_compile_cache('train', 'a config') is None
