"""Config itself: construction, access, overriding, writing, copying, explaining."""

from __future__ import annotations

import copy
import json
import pickle
from enum import IntEnum
from pathlib import Path

import numpy as np
import pytest
import yaml

from msseg.config import Config, ConfigDict


def test_a_config_made_of_a_dict():
    cfg = Config(dict(a=1, b=dict(c=[dict(d=2)])))
    assert (cfg.a, cfg['a'], cfg.b.c[0].d, cfg.get('x', 3)) == (1, 1, 2, 3)
    assert (len(cfg), list(cfg), 'a' in cfg) == (2, ['a', 'b'], True)
    assert cfg.b.c[0].config_path() == 'b.c[0]'
    assert (cfg.filename, cfg.text) == (None, '')
    assert dict(cfg.items()) == {'a': 1, 'b': {'c': [{'d': 2}]}}
    assert len(Config()) == 0
    with pytest.raises(TypeError, match='cfg_dict must be a dict'):
        Config([1])
    with pytest.raises(KeyError, match='pretty_text is reserved'):
        Config(dict(pretty_text=1))


def test_settings_can_be_changed_and_removed():
    cfg = Config(dict(a=1, b=2, c=3))
    cfg.a = dict(x=1)
    cfg['b'] = [dict(y=2)]
    del cfg.c
    assert isinstance(cfg.a, ConfigDict)
    assert cfg.b[0].y == 2
    del cfg['b']
    assert cfg.pop('a') == dict(x=1)
    assert len(cfg) == 0
    with pytest.raises(KeyError, match='filename is reserved: it cannot be set'):
        cfg.filename = 'x.py'


def test_a_missing_setting_suggests_another():
    cfg = Config(dict(optimizer=1))
    with pytest.raises(AttributeError, match="'optimzer'. Did you mean 'optimizer'"):
        _ = cfg.optimzer
    with pytest.raises(KeyError, match="'optimzer'. Did you mean 'optimizer'"):
        _ = cfg['optimzer']


def test_filename_and_text_of_all_files(load):
    cfg = load("_base_ = 'base.py'\nb = 1", base='a = 1')
    assert cfg.filename == 'config.py'
    assert cfg.text == "base.py\na = 1\nconfig.py\n_base_ = 'base.py'\nb = 1\n"
    assert repr(cfg) == "Config (path: config.py): {'a': 1, 'b': 1}"


def test_from_string(write):
    write('base.py', 'a = 1')
    assert Config.fromstring("_base_ = 'base.py'\nb = 2", '.py')._cfg_dict == dict(a=1, b=2)
    cfg = Config.fromstring('{"a": 1}', 'json')
    assert (cfg.a, cfg.filename, cfg.explain('a')) == (1, None, '<string>.json')
    with pytest.raises(OSError, match="'.toml': only .py"):
        Config.fromstring('', '.toml')


VALUES = dict(
    types=[1, -2.5, 1e-4, True, None, 'text', b'bytes', 2j, (), (1,), (1, 2), [], {}, range(3)],
    infinite=[float('inf'), -float('inf')],
    quotes='it\'s "so"\n\\ {{ fileDirname }}',
    not_names={1: 'a', 'a b': [dict(x=1)], 'class': 2},
    nested=dict(a=dict(b=[[dict(c=1)], (dict(d=2),)])),
    sets=[{2, 1}, frozenset(['x']), set()],
    empty={},
)


def test_pretty_text_evaluates_to_the_same_config():
    text = Config(VALUES).pretty_text
    assert Config.fromstring(text, '.py')._cfg_dict == VALUES
    namespace: dict = {}
    exec(text.replace('\\x7b', '{'), namespace)
    assert {key: namespace[key] for key in VALUES} == VALUES


def test_pretty_text_of_top_level_keys_that_are_no_names(write):
    cfg = Config.fromfile(write('x.json', '{"a-b": 1, "class": {"c d": 2}}'))
    assert Config.fromstring(cfg.pretty_text, '.py')._cfg_dict == cfg._cfg_dict


def test_numpy_values_and_paths_are_written_plainly(tmp_path):
    cfg = Config(dict(lr=np.float64(0.5), weight=np.arange(3), size=np.int64(4), path=tmp_path))
    again = Config.fromstring(cfg.pretty_text, '.py')
    assert again._cfg_dict == dict(lr=0.5, weight=[0, 1, 2], size=4, path=str(tmp_path))


class Odd(int):
    def __repr__(self):
        raise AssertionError


class OddText(str):
    __repr__ = __str__ = Odd.__repr__


def test_subclasses_of_plain_types_are_written_as_what_they_hold():
    cfg = Config(dict(size=Odd(4), name=OddText('a')))
    assert cfg.pretty_text == "size = 4\nname = 'a'\n"


@pytest.mark.parametrize('value', [5, [1], 'my_head'])
def test_custom_imports_that_is_no_dict(write, value):
    with pytest.raises(TypeError, match=r'custom_imports is .*x\.py\), expected a dict such as'):
        Config.fromfile(write('x.py', f'custom_imports = {value!r}'))


ENUM = dict(a=[dict(b=IntEnum('Size', 'small large').small)])


def test_a_class_as_type_is_written_as_its_name_and_other_objects_are_refused():
    text = Config(dict(head=dict(type=Config, n=1), hooks=[dict(type=copy.deepcopy)])).pretty_text
    assert text == "head = dict(type='Config', n=1)\nhooks = [dict(type='deepcopy')]\n"
    for values in (dict(a=[dict(b=Config)]), dict(a=[dict(b=object())]), ENUM):
        with pytest.raises(TypeError, match=r'a\[0\].b: .* cannot be written into a config file'):
            _ = Config(values).pretty_text
    with pytest.raises(TypeError, match='type: .*lambda.* cannot be written'):
        _ = Config(dict(type=lambda: 1)).pretty_text


@pytest.mark.parametrize('extension', ['py', 'yaml', 'yml', 'json'])
def test_dump_and_read_again(tmp_path, extension):
    values = dict(a=[dict(b=None, c=1e-5)], d=dict(e='é', f=True), g=[1, 2])
    if extension != 'json':
        values['g'] = (1, 2)
    file = tmp_path / f'x.{extension}'
    assert Config(values).dump(file) is None
    assert Config.fromfile(file)._cfg_dict == values
    assert Config.fromfile(file).dump() == file.read_text()


def test_dump_that_fails_keeps_the_file(tmp_path, monkeypatch):
    (tmp_path / 'x.py').write_text('a = 1\n')
    monkeypatch.setattr(Path, 'write_text', fail)
    with pytest.raises(OSError, match='no room'):
        Config({'a': 2}).dump(tmp_path / 'x.py')
    assert (tmp_path / 'x.py').read_text() == 'a = 1\n'


def fail(*args, **kwargs):
    raise OSError('no room')


def test_dump_formats(tmp_path):
    cfg = Config(dict(a=(1, 2)))
    assert cfg.dump() == 'a = (1, 2)\n'
    cfg.dump(str(tmp_path / 'x.json'))
    assert json.loads((tmp_path / 'x.json').read_text()) == {'a': [1, 2]}
    cfg.dump(str(tmp_path / 'x.yaml'))
    assert yaml.full_load((tmp_path / 'x.yaml').read_text()) == {'a': (1, 2)}
    with pytest.raises(OSError, match="'.txt', expected .py"):
        cfg.dump(str(tmp_path / 'x.txt'))


@pytest.mark.parametrize('duplicate', [copy.deepcopy, lambda cfg: pickle.loads(pickle.dumps(cfg))])
def test_copies_are_independent_and_complete(load, duplicate):
    cfg = load('a = dict(x=[dict(y=1)])')
    other = duplicate(cfg)
    assert (other.filename, other.text, other._cfg_dict) == (cfg.filename, cfg.text, cfg._cfg_dict)
    assert other.explain('a.x.0.y') == 'config.py'
    assert other.a.x[0].config_path() == 'a.x[0]'
    other.a.x[0].y = 2
    assert cfg.a.x[0].y == 1


def test_a_shallow_copy_can_be_changed_at_the_top():
    cfg = Config(dict(a=dict(x=1)))
    other = copy.copy(cfg)
    other.b = 1
    assert 'b' not in cfg and other.a is cfg.a


def test_merge_from_dict():
    cfg = Config(dict(model=dict(head=[dict(n=1), dict(n=1)], size=(1, 2)), lr=0.1, ids={7: 0}))
    cfg.merge_from_dict({'model.head.1.n': 2, 'model.head[0].m': 3, 'lr': None, 'new.a.b': [1]})
    cfg.merge_from_dict({'model.size.0': 5, 'ids.7': 1})
    assert cfg._cfg_dict == dict(
        model=dict(head=[dict(n=1, m=3), dict(n=2)], size=(5, 2)),
        lr=None,
        new=dict(a=dict(b=[1])),
        ids={7: 1},
    )


def test_merge_from_dict_to_all_elements_and_with_delete():
    cfg = Config(dict(head=[dict(n=1), dict(n=1)], optimizer=dict(type='SGD', momentum=0.9)))
    cfg.merge_from_dict({'head.1.n': 3, 'head.*.n': 2})
    cfg.merge_from_dict({'optimizer.type': 'AdamW', 'optimizer._delete_': True})
    assert cfg._cfg_dict == dict(head=[dict(n=2), dict(n=3)], optimizer=dict(type='AdamW'))


def test_merge_from_dict_names_its_source():
    cfg = Config(dict(head=[dict(n=1), dict(n=1)], size=[1, 2]))
    cfg.merge_from_dict({'head.1.n': 3, 'size.0': 4})
    assert cfg.explain('head.1.n') == cfg.explain('size.0') == '--cfg-options'
    assert cfg.explain('head.0.n') is cfg.explain('head') is None
    cfg.merge_from_dict({'lr': 1}, source='the tuner')
    assert cfg.explain('lr') == 'the tuner'
    assert cfg.head[1].config_path() == 'head[1]'


@pytest.mark.parametrize(
    ('options', 'error', 'message'),
    [
        ({'head.2.n': 1}, KeyError, 'head has 2 elements, so no index 2'),
        ({'head.n': 1}, TypeError, r"head is a list of 2.*key 'n'.*as in head.0.n"),
        ({'lr.x': 1}, TypeError, 'lr is a dict in the child config but of type float'),
        ({'a..b': 1}, ValueError, r"'a..b' is no config key"),
        ({'a': 1, 'a.b': 2}, TypeError, "a.b: 'a' gets a value too: 1"),
    ],
)
def test_merge_from_dict_errors(options, error, message):
    with pytest.raises(error, match=message):
        Config(dict(head=[dict(n=1), dict(n=1)], lr=0.1)).merge_from_dict(options)


def test_list_keys_can_be_forbidden():
    cfg = Config(dict(a=dict(head=[dict(n=1)])))
    with pytest.raises(TypeError, match='head is a list, and allow_list_keys is False'):
        cfg.merge_from_dict({'a.head.0.n': 1}, allow_list_keys=False)
    cfg.merge_from_dict({'a.x': 1}, allow_list_keys=False)
    assert cfg.a.x == 1


def test_explain_follows_every_kind_of_key(load):
    cfg = load(
        """
        _base_ = 'base.py'
        model = dict(head={1: dict(n=2)})
        lr = 1
        """,
        base='model = dict(head=[dict(n=1, m=1), dict(n=1, m=1)], size=(1, 2))\nlr = 0',
    )
    assert cfg.explain('model.head.1.n') == cfg.explain('lr') == 'config.py'
    assert cfg.explain('model.head[1].n') == 'config.py'
    assert cfg.explain('model.head.1.m') == cfg.explain('model.head.0.n') == 'base.py'
    assert cfg.explain('model.size.1') == cfg.explain('model') == 'base.py'
    assert cfg.find('model.size.1') == (2, 'base.py')
    for key, message in {
        'modle.head': "the config has no key 'modle'. Did you mean 'model'",
        'model.haed': "model has no key 'haed'. Did you mean 'head'",
        'model.head.2': "model.head is a list of 2: no element '2'",
        'lr.x': "lr is 1: it has no 'x'",
    }.items():
        with pytest.raises(KeyError, match=message):
            cfg.explain(key)


def test_files_outside_the_current_directory_are_named_in_full(tmp_path, monkeypatch):
    (tmp_path / 'x.py').write_text('a = 1')
    (tmp_path / 'elsewhere').mkdir()
    monkeypatch.chdir(tmp_path / 'elsewhere')
    assert Config.fromfile('../x.py').explain('a') == str(tmp_path / 'x.py')
