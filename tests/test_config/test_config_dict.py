"""ConfigDict: access by attribute and item, conversion, provenance through every kind of copy."""

from __future__ import annotations

import copy
import pickle
from collections import namedtuple

import pytest

from msseg.config import Config, ConfigDict


def test_keys_are_attributes_and_items():
    node = ConfigDict(a=dict(b=1))
    assert node.a.b == node['a']['b'] == node.get('a').get('b') == 1
    node.a.c = [2]
    del node.a['b']
    assert node == {'a': {'c': [2]}}
    del node.a
    assert 'a' not in node


def test_missing_attribute_is_an_attribute_error_with_a_suggestion():
    node = ConfigDict(num_classes=2)
    message = r"'ConfigDict' object has no attribute 'num_clases'\. Did you mean 'num_classes'\?"
    with pytest.raises(AttributeError, match=message):
        _ = node.num_clases
    with pytest.raises(AttributeError, match="no attribute 'x'"):
        del node.x
    assert not hasattr(node, 'num_clases')


def test_an_attribute_does_not_hide_a_method():
    node = ConfigDict()
    with pytest.raises(
        AttributeError, match=r"'items' is a method of ConfigDict: write \['items'\]"
    ):
        node.items = 3
    node['items'] = 3
    assert list(node) == ['items'] and callable(node.items)


def test_missing_item_is_a_key_error_naming_the_place():
    cfg = Config(dict(model=dict(decode_head=[dict(num_classes=2)])))
    with pytest.raises(KeyError, match=r"model.decode_head\[0\] has no key 'num_clases'.*num_cl"):
        _ = cfg.model.decode_head[0]['num_clases']
    with pytest.raises(KeyError, match="the config has no key 'x'"):
        _ = cfg['x']


def test_plain_dicts_become_nodes_wherever_they_are_put():
    Pair = namedtuple('Pair', 'first second')
    node = ConfigDict(a=[dict(x=1)], b=(dict(x=1),), c=Pair(dict(x=1), 2))
    node.d = [[dict(x=1)]]
    node.setdefault('e', dict(x=1)).y = 2
    node.update(f=dict(x=1))
    nodes = [node.a[0], node.b[0], node.c.first, node.d[0][0], node.e, node.f]
    assert all(isinstance(each, ConfigDict) for each in nodes)
    assert isinstance(node.c, Pair)
    assert node.e == dict(x=1, y=2)


def test_a_list_without_dicts_stays_the_same_object():
    values = [1, 2]
    assert ConfigDict().setdefault('a', values) is values


def test_update_merges_dicts():
    node = ConfigDict(a=dict(x=1, y=2), b=[1])
    node.update(dict(a=dict(y=3), b=[2]))
    assert node == dict(a=dict(x=1, y=3), b=[2])
    assert (node | dict(c=1)).c == 1
    assert isinstance(dict(c=1) | node, ConfigDict)
    with pytest.raises(TypeError, match='at most 1 argument, got 2'):
        node.update({}, {})


def test_to_dict_gives_plain_dicts_at_every_depth():
    plain = ConfigDict(a=[[dict(x=1)]], b=(dict(x=1),)).to_dict()
    assert type(plain) is type(plain['a'][0][0]) is type(plain['b'][0]) is dict


@pytest.mark.parametrize(
    'duplicate',
    [copy.copy, copy.deepcopy, ConfigDict, lambda node: node.copy(), lambda node: node | {}]
    + [lambda node: pickle.loads(pickle.dumps(node))],
)
def test_copies_keep_path_and_files(load, duplicate):
    cfg = load("_base_ = 'base.py'\nmodel = dict(b=2)", base='model = dict(a=1, list=[dict(x=1)])')
    node = duplicate(cfg.model)
    assert type(node) is ConfigDict and node == cfg.model and node is not cfg.model
    assert node.config_path() == 'model'
    assert (node.config_file('a'), node.config_file('b')) == ('base.py', 'config.py')
    assert node.list[0].config_path() == 'model.list[0]'
    assert node.list[0].config_file('x') == 'base.py'
    assert node.pop('a') == 1
    assert node.config_file('b') == 'config.py'
    assert 'a' in cfg.model


def test_deep_copy_shares_nothing():
    node = ConfigDict(a=dict(x=[1]))
    copy.deepcopy(node).a.x.append(2)
    assert node.a.x == [1]


def test_what_a_program_sets_has_a_path_but_no_file(load):
    cfg = load('model = dict(a=1)')
    cfg.model.a = 2
    cfg.model.head = [dict(x=1)]
    cfg.extra = dict(y=1)
    assert cfg.model.config_file('a') is None
    assert cfg.model.head[0].config_path() == 'model.head[0]'
    assert cfg.extra.config_path() == 'extra'
    assert cfg.explain('model.head.0.x') is None


def test_a_node_of_unknown_place_has_an_empty_path():
    assert ConfigDict(a=1).config_path() == ''
    assert ConfigDict(a=1).config_file('a') is None
