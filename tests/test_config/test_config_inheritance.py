"""`_base_`: merging, replacing, deleting, lists by index, and what goes wrong."""

from __future__ import annotations

import pytest

from msseg.config import Config
from msseg.config.reader import DuplicateKey, load_file


def test_dicts_merge_deeply_and_lists_are_replaced(load):
    cfg = load(
        "_base_ = './base.py'\na = dict(x=dict(p=1), new=5)\nb = [3]",
        base='a = dict(x=dict(p=0, q=0), y=1)\nb = [1, 2]\nc = 1',
    )
    assert cfg._cfg_dict == dict(a=dict(x=dict(p=1, q=0), y=1, new=5), b=[3], c=1)


def test_several_bases_and_bases_of_bases(write):
    write('base/a.py', "_base_ = ['c.json']\na = 1")
    write('base/b.yaml', 'b: {x: 2}')
    write('base/c.json', '{"c": {"y": 3}}')
    write('config.py', "_base_ = ['base/a.py', './base/b.yaml']\nc = dict(z=4)")
    cfg = Config.fromfile('config.py')
    assert cfg._cfg_dict == dict(a=1, b=dict(x=2), c=dict(y=3, z=4))


def test_base_may_be_computed(load):
    assert load("name = 'ba'\n_base_ = [name + 'se.py']\nb = 2", base='a = 1').a == 1


def test_json_and_yaml_inherit_too(write):
    write('base.py', 'a = dict(x=1, y=(1, 2))')
    write('config.json', '{"_base_": "base.py", "a": {"x": 2}}')
    write('config.yml', '_base_: [base.py]\na: {x: 3, z: 1e-4}')
    assert Config.fromfile('config.json').a == dict(x=2, y=(1, 2))
    assert Config.fromfile('config.yml').a == dict(x=3, y=(1, 2), z=1e-4)


def test_a_key_of_two_bases_is_an_error_naming_both(load):
    with pytest.raises(
        KeyError, match=r"config.py: two of its bases define.*'lr'.*one.py and two.py"
    ):
        load("_base_ = ['one.py', 'two.py']", one='lr = 1', two='lr = 1')


def test_keys_of_two_bases_can_be_noted_and_the_last_taken(write):
    write('a.py', 'lr = 1\nseed = 1')
    write('b.py', 'lr = 2\n')
    write('inner.py', "_base_ = ['a.py', 'b.py']")
    write('c.py', 'seed = 3')
    write('config.py', "_base_ = ['inner.py', 'c.py']\nlr = 5")
    duplicates = []
    loaded = load_file('config.py', duplicates=duplicates)
    assert duplicates == [
        DuplicateKey('lr', 'inner.py', 'a.py', 'b.py'),
        DuplicateKey('seed', 'config.py', 'inner.py', 'c.py'),
    ]
    assert loaded.values == dict(lr=5, seed=3)
    assert loaded.values.config_file('seed') == 'c.py'


@pytest.mark.parametrize('mark', ['_delete_=True', "**{'_delete_': True}"])
def test_delete_replaces_a_dict(load, mark):
    cfg = load(
        f"_base_ = 'base.py'\na = dict(x=dict({mark}, q=1))", base='a = dict(x=dict(p=0), y=1)'
    )
    assert cfg.a == dict(x=dict(q=1), y=1)


def test_delete_replaces_a_list_and_is_never_left_behind(load):
    cfg = load(
        """
        _base_ = 'base.py'
        head = dict(_delete_=True, type='One')
        new = dict(_delete_=True, x=[dict(_delete_=True, y=1)])
        keep = dict(_delete_=False, b=2)
        """,
        base='head = [1, 2]\nkeep = dict(a=1)',
    )
    assert cfg.head == dict(type='One')
    assert cfg.new == dict(x=[dict(y=1)])
    assert cfg.keep == dict(a=1, b=2)


def test_a_dict_over_none_sets_it_and_over_another_value_is_an_error(load):
    assert load("_base_ = 'base.py'\na = dict(x=1)", base='a = None').a == dict(x=1)
    message = r'a is a dict in the child config but of type int \(3\).*base.py.*config.py.*_delete_'
    with pytest.raises(TypeError, match=message):
        load("_base_ = 'base.py'\na = dict(x=1)", base='a = 3')


@pytest.mark.parametrize('index', ['1', "'1'", '-1', "'-1'"])
def test_a_dict_with_an_index_changes_one_element(load, index):
    cfg = load(
        f"_base_ = 'base.py'\nhead = {{{index}: dict(n=2)}}",
        base="head = [dict(type='A', n=1), dict(type='B', n=1)]",
    )
    assert cfg.head == [dict(type='A', n=1), dict(type='B', n=2)]
    assert cfg.explain('head.1.n') == 'config.py'
    assert cfg.explain('head.1.type') == cfg.explain('head') == 'base.py'


def test_a_star_changes_every_element_and_an_index_has_the_last_word(load):
    cfg = load(
        "_base_ = 'base.py'\nhead = {0: dict(n=5), '*': dict(n=2, norm=dict(type='BN'))}",
        base="head = (dict(type='A', n=1), dict(type='B', n=1, norm=dict(eps=1)))",
    )
    assert cfg.head == (
        dict(type='A', n=5, norm=dict(type='BN')),
        dict(type='B', n=2, norm=dict(eps=1, type='BN')),
    )
    assert cfg.head[0].norm is not cfg.head[1].norm


def test_an_index_replaces_a_value_or_with_delete_a_dict(load):
    cfg = load(
        "_base_ = 'base.py'\nsize = {0: 9}\nhead = {0: dict(_delete_=True, type='C')}",
        base="size = (1, 2)\nhead = [dict(type='A', n=1)]",
    )
    assert cfg.size == (9, 2)
    assert cfg.head == [dict(type='C')]
    assert cfg.explain('size') == 'config.py'


@pytest.mark.parametrize(
    ('child', 'error', 'message'),
    [
        ('{2: dict(n=1)}', KeyError, r'head has 2 elements, so no index 2 .*base.py.*config.py'),
        ('dict(n=1)', TypeError, r"head is a list of 2, .* key 'n'.*head.0.n or .*_delete_=True"),
        ('{0: {0: 1}}', TypeError, r'head\[0\] is a dict in the child .* type int'),
    ],
)
def test_a_dict_that_does_not_fit_a_list_says_so(load, child, error, message):
    with pytest.raises(error, match=message):
        load(f"_base_ = 'base.py'\nhead = {child}", base='head = [1, 2]')


def test_a_star_without_a_list_is_an_error(load):
    with pytest.raises(TypeError, match=r"head: '\*' changes every element.*no list.*config.py"):
        load("head = {'*': dict(n=1)}")
    with pytest.raises(TypeError, match=r"head is a dict, not a list: '\*' has nothing to change"):
        load("_base_ = 'base.py'\nhead = {'*': dict(n=1)}", base='head = dict(n=1)')


def test_a_dict_with_number_keys_is_no_list(load):
    cfg = load("_base_ = 'base.py'\nlabel_map = {1: 5}", base='label_map = {0: 0, 1: 1}')
    assert cfg.label_map == {0: 0, 1: 5}


def test_a_missing_base_names_both_files(load):
    with pytest.raises(
        FileNotFoundError, match=r"config.py: the base file .*bsae.py.*mean 'base.py'"
    ):
        load("_base_ = 'bsae.py'", base='')


def test_a_missing_config_is_named_with_a_suggestion(write):
    write('ocrnet_hr18.py', '')
    with pytest.raises(
        FileNotFoundError, match=r"'ocrnet_hr81.py' does not exist.*'ocrnet_hr18.py'"
    ):
        Config.fromfile('ocrnet_hr81.py')
    with pytest.raises(FileNotFoundError, match='nowhere/x.py'):
        Config.fromfile('nowhere/x.py')
    with pytest.raises(FileNotFoundError, match="config file '.' is a folder, expected a file"):
        Config.fromfile('.')


def test_files_that_inherit_in_a_circle_are_an_error(load):
    message = 'inherits from itself: config.py -> a.py -> config.py'
    with pytest.raises(ValueError, match=message):
        load("_base_ = 'a.py'", a="_base_ = 'config.py'")


@pytest.mark.parametrize('value', ['3', '[1]', "dict(a='x.py')"])
def test_a_base_that_is_no_path_is_an_error(load, value):
    with pytest.raises(ValueError, match='config.py: `_base_` must be a path or a list of paths'):
        load(f'_base_ = {value}')


def test_unknown_extensions_and_bad_encodings_are_errors(write, tmp_path):
    write('config.toml', '')
    with pytest.raises(OSError, match=r'config.toml.*only .py, .json, .yaml, .yml'):
        Config.fromfile('config.toml')
    (tmp_path / 'latin.py').write_bytes(b'a = "\xe9"')
    with pytest.raises(ValueError, match='latin.py.*not UTF-8'):
        Config.fromfile('latin.py')
