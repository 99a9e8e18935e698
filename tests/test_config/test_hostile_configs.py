"""Configs that end, stall or exhaust what reads them, and variables that are no settings."""

from __future__ import annotations

import argparse
import copy
import json
import os
import time

import numpy as np
import pytest

from msseg.apis.config_schema import get_schema, load_config
from msseg.config import Config, add_cfg_options
from msseg.config.checking import drop_variables
from msseg.config.config_dict import MAX_DEPTH, count_values

BOMB = 'a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1]\n' + ''.join(
    f'a{i}: &a{i} [{", ".join([f"*a{i - 1}"] * 9)}]\n' for i in range(1, 10)
)


MERGE_BOMB = 'a0: &a0 {x: 1}\n' + ''.join(
    f'a{i}: &a{i} {{<<: [{", ".join([f"*a{i - 1}"] * 9)}]}}\n' for i in range(1, 10)
)


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('import sys\nsys.exit(0)', r'line 2: SystemExit: 0; it must not end the program'),
        ('a = 1\nexit()', r'line 2: SystemExit'),
        (
            'class D(dict):\n  def items(self):\n    exit(3)\nmodel = dict(a=[D(b=1)])',
            r'line 3: SystemExit: 3; it must not end the program',
        ),
        (
            'class L(list):\n  def __iter__(self):\n    raise OSError("gone")\na = (L([1]),)',
            r'line 3: OSError: gone$',
        ),
        ('raise GeneratorExit', r'line 1: GeneratorExit'),
        ('class E(BaseException):\n pass\nraise E("x")', r'line 3: E: x'),
        (
            'class E(Exception):\n def __str__(self):\n  raise E\nraise E',
            r'line 4: E: \(its message cannot be shown: E\)',
        ),
        ('def f():\n return f()\nf()', 'line 2: RecursionError'),
        ('a = "x" * 10**15', 'line 1: MemoryError'),
        ('a = ' + '-' * 100_000 + '1', 'nested too deeply'),
        ('a = ' + '+'.join(['1'] * 20_000), 'nested too deeply'),
        ('a = ' + '(' * 1000, 'line 1: too many nested parentheses|nested too deeply'),
        ('a = 1\0', 'zero bytes'),
        ('x = {}\nx["x"] = x', 'x contains itself'),
        ('x = []\ny = (x,)\nx.append(y)', 'x contains itself'),
        ('x = 1\nfor _ in range(3000):\n x = dict(x=x)', 'x is nested more than'),
        ('x = list(range(2_000_000))', r'x has more than 1,000,000 values'),
        ('x = 1\nfor _ in range(25):\n x = [x, x]', r'x has more than 1,000,000'),
        ('x = "a" * 10_000_000', 'x has a text of more than 2 MiB'),
        ('x = {"k" * 10_000: 1}', 'x has a key of more than'),
        ('x = 1 #' + 'x' * 2**21, 'larger than 2 MiB'),
    ],
)
def test_python_configs(load, text, message):
    with pytest.raises(ValueError, match=rf'config\.py.*({message})'):
        load(text)


@pytest.mark.parametrize(
    ('name', 'text', 'message'),
    [
        ('x.json', '[' * 100_000, 'nested too deeply'),
        ('x.json', '{"a": ' + '9' * 5000 + '}', 'no JSON: Exceeds the limit'),
        ('x.json', '{"a": ' + '[' * 100 + ']' * 100 + '}', 'nested more than'),
        ('x.yaml', 'a: &x {b: *x}', 'contains itself'),
        ('x.yaml', 'a: ' + '[' * 20_000, 'nested too deeply'),
        ('x.yaml', BOMB, 'more than 1,000,000 values'),
        ('x.yaml', 'a: 2001-99-99', 'no YAML: month must be'),
        ('x.yaml', 'a: !!int x', 'no YAML: invalid literal'),
        ('x.yaml', 'a: !!timestamp x', 'no YAML'),
        ('x.yaml', 'a: ' + '9' * 5000, 'no YAML: Exceeds the limit'),
        ('x.yaml', '{[1]: 2}', 'unhashable'),
        ('x.yaml', '%YAML 9', 'no YAML'),
        ('x.yaml', 'a: 1\ntrue: 2', 'the key True at the top is no text'),
        ('x.yaml', '1: 2', 'the key 1 at the top is no text'),
        ('x.yaml', '_base_: "\\0"', 'base file'),
        ('x.yaml', 'a:\n  lr: 1\n  lr: 2', r"no YAML: the key 'lr' stands twice \(line 3\)"),
        ('x.json', '{"a": {"lr": 1, "lr": 2}}', "no JSON: the key 'lr' stands twice"),
        ('x.yaml', MERGE_BOMB, 'no YAML: its merge keys copy over 1,000,000 values'),
        ('x.yaml', 'x: &x {a: 1}\ny: {<<: *x, <<: *x}', "no YAML: the key '<<' stands twice"),
    ],
)
def test_json_and_yaml_configs(write, name, text, message):
    start = time.monotonic()
    with pytest.raises((ValueError, OSError), match=rf'x\.(json|yaml).*{message}'):
        Config.fromfile(write(name, text))
    assert time.monotonic() - start < 20


def test_a_key_may_override_one_that_a_merge_key_brings(write):
    text = 'y: &y {lr: 1}\nq: {x: &x {<<: *y, lr: 5}}\nz: {<<: *x}'
    values = Config.fromfile(write('x.yaml', text))
    assert values.q.x == values.z == {'lr': 5}


def test_bases_that_double_are_read_once_each(write):
    write('b0.py', 'a = 1\nruns = []')
    for i in range(1, 26):
        names = [f'b{i - 1}.py'] * 2 if i % 2 else f'b{i - 1}.py'
        write(f'b{i}.py', f'_base_ = {names!r}')
    cfg = Config.fromfile('b25.py')
    assert cfg.a == 1 and cfg.text.count('runs = []') == 1
    for i in range(2, 26):
        write(f'b{i}.py', f"_base_ = ['b{i - 1}.py', 'b{i - 2}.py']")
    with pytest.raises(KeyError, match='two of its bases define'):
        Config.fromfile('b25.py')


def test_a_long_chain_of_bases_is_refused(write):
    write('b0.py', 'a = 1')
    for i in range(1, 70):
        write(f'b{i}.py', f"_base_ = 'b{i - 1}.py'")
    with pytest.raises(ValueError, match='b69.py inherits through more than 64 files'):
        Config.fromfile('b69.py')


def test_base_variables_and_stars_that_multiply_are_refused(write):
    values = {'a': list(range(1000)), 'l': [{} for _ in range(2000)]}
    write('b.json', json.dumps(values))
    many = {'_base_': 'b.json', 'x': ['{{ _base_.a }}'] * 2000}
    with pytest.raises(ValueError, match='stand for more than 1,000,000 values'):
        Config.fromfile(write('x.json', json.dumps(many)))
    star = {'_base_': 'b.json', 'l': {'*': {'x': list(range(1000))}}}
    with pytest.raises(ValueError, match="l: '\\*' makes more than 1,000,000 values"):
        Config.fromfile(write('x.json', json.dumps(star)))


def test_the_deepest_config_is_written_and_read_in_time(load):
    start = time.monotonic()
    value = 'x'
    for _ in range(MAX_DEPTH - 2):
        value = [value, 'text']
    cfg = load(f'a = {value!r}')
    assert Config.fromstring(cfg.pretty_text, 'py').a == copy.deepcopy(cfg).a == value
    assert time.monotonic() - start < 5


def test_a_long_list_is_written_in_time_and_in_lines(load):
    start = time.monotonic()
    cfg = load('a = dict(b=[i / 7 for i in range(50_000)])')
    text = cfg.pretty_text
    assert time.monotonic() - start < 30
    assert max(map(len, text.splitlines())) <= 79
    assert Config.fromstring(text, 'py').a == cfg.a


def test_shared_values_count_where_they_are_used():
    shared = [1, 2, 3]
    assert count_values({'a': shared, 'b': [shared, shared]}, 'x') == 14


VARIABLES = """
import datetime, logging, re
from dataclasses import dataclass
from os import environ
from typing import Any, Dict, List
@dataclass
class Point:
    x: int
with open(__file__) as f:
    seed = len(f.read())
environment, nested = dict(environ), [dict(environ)]
point, letters, pattern = Point(1), (x for x in 'ab'), re.compile('x')
now, logger, big = datetime.datetime.now(), logging.getLogger(), 10**6000
plain = 5
"""


def test_variables_that_nothing_reads_do_no_harm(write):
    cfg = load_config(write('config.py', VARIABLES))
    assert set(cfg) == {'seed', 'plain'}
    assert copy.deepcopy(cfg).pretty_text.startswith('seed = ')


def test_secrets_of_the_environment_are_not_written(write, monkeypatch):
    monkeypatch.setenv('WANDB_API_KEY', 'the secret')
    text = (
        "import os\nkey = os.environ['WANDB_API_KEY']\nsome = [dict(a=key)]\n"
        "plain = 'no secret'\nheader = 'Bearer ' + key\nall_of_it = str(os.environ)\n"
        "found = {k: v for k, v in os.environ.items() if 'API' in k}"
    )
    assert set(load_config(write('config.py', text))) == {'plain'}


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('from os import environ\nseed = environ', r'^seed is <the environment> \(set in config'),
        ('import os\nseed = {**os.environ}', r'^seed is <the environment> \(set in config.py\)'),
        ('optimizer = dict(lr=(x for x in "a"))', r'^optimizer.lr is <builtins.generator object>'),
        ('data = dict(train=[dict(classes=open(__file__))])', r'^data.train\[0\].classes is <_io'),
        ('work_dir = [object()] * 1000', r'^work_dir\[0\] is <builtins.object object>'),
        (
            'seed = 10**6000',
            r'^seed is <a whole number of 19932 bits> \(set in config.py\), expected a smaller',
        ),
    ],
)
def test_settings_that_are_no_plain_values_are_named_and_not_printed(
    write, monkeypatch, text, message
):
    monkeypatch.setenv('TOKEN', 'the secret')
    assert os.environ['TOKEN'] == 'the secret'
    with pytest.raises(TypeError, match=message) as error:
        load_config(write('config.py', text))
    assert 'secret' not in str(error.value) and len(str(error.value)) < 400


def test_the_file_named_is_the_one_that_set_the_value(load):
    cfg = load("_base_ = 'base.py'\nrunner = dict(max_iters=iter([]))", base='runner = dict(a=1)')
    with pytest.raises(TypeError, match=r'runner.max_iters is .* \(set in config.py\)'):
        drop_variables(cfg, get_schema())


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('optimizer_config = [1]', r'optimizer_config is \[1\] .*expected a dict'),
        ('model = dict(test_cfg=(1, 2))', r'model.test_cfg is \(1, 2\) .*expected a dict'),
        ('log_config = [1]', 'log_config is'),
        ('fp16 = 5', 'fp16 is 5'),
        ('auto_scale_lr = [dict()]', 'auto_scale_lr is'),
        ('custom_hooks = 1', 'custom_hooks is .*, expected a dict, or a list of them'),
        ('custom_hooks = [1]', r'custom_hooks is \[1\] .*, expected a dict, or a list of them'),
        ("data = dict(val=['x'])", r"data.val is \['x'\] .*, expected a dict, or a list of them"),
    ],
)
def test_no_dict_where_one_belongs(write, text, message):
    with pytest.raises(TypeError, match=message):
        load_config(write('config.py', text), parts=[text.split(' =')[0]])


def test_a_module_of_ones_own_that_ends_the_program_is_an_error(write):
    write('ending_module.py', 'import sys\n\nsys.exit(0)')
    write('broken_module.py', 'a = (')
    config = write('config.py', "custom_imports = dict(imports='ending_module')")
    with pytest.raises(ImportError, match=r"'ending_module': .*module.py, line 3: SystemExit: 0"):
        Config.fromfile(config)
    config = write('config.py', "custom_imports = dict(imports='broken_module')")
    with pytest.raises(ImportError, match=r"'broken_module': .*SyntaxError: .*\(broken_module.py"):
        Config.fromfile(config)


def test_configs_of_msseg_are_bases_from_anywhere(load):
    cfg = load("_base_ = 'msseg::demo/ocrnet_nuclei.py'\nseed = 7")
    assert cfg.model.type == 'CascadeEncoderDecoder' and cfg.seed == 7
    with pytest.raises(FileNotFoundError, match="Did you mean 'demo/ocrnet_nuclei.py'"):
        load("_base_ = 'msseg::demo/ocrnet_nucleus.py'")
    with pytest.raises(FileNotFoundError, match='config.py: the base file .*lists them'):
        load("_base_ = 'msseg::../setup.py'")
    with pytest.raises(FileNotFoundError, match="'msseg::demo/ocrnet_nuclei.py' names a config"):
        load("_base_ = 'elsewhere/zzz.py'")


def test_options_of_the_command_line_are_bounded(load):
    cfg = load('a = 1')
    with pytest.raises(KeyError, match='a key has at most 64 parts'):
        cfg.merge_from_dict({'.'.join('a' * 5000): 1})
    with pytest.raises(ValueError, match='--cfg-options b is nested more than 64 deep'):
        cfg.merge_from_dict({'b': eval('[' * 90 + ']' * 90)})
    parser = argparse.ArgumentParser(exit_on_error=False)
    add_cfg_options(parser)
    with pytest.raises(argparse.ArgumentError, match='a: nested too deeply'):
        parser.parse_args(['--cfg-options', 'a=' + '[' * 50_000])


def test_numbers_of_numpy_are_numbers(load):
    cfg = load(
        'import numpy as np\na = np.int64(3)\nb = [dict(c=np.bool_(True), d=(np.float32(0.5),))]\n'
        'e = np.arange(2)'
    )
    assert type(cfg.a) is int and type(cfg.b[0].c) is bool and type(cfg.b[0].d[0]) is float
    assert isinstance(cfg.e, np.ndarray) and cfg.pretty_text.endswith('e = [0, 1]\n')


def test_a_base_may_be_a_path_object(load):
    assert load("from pathlib import Path\n_base_ = Path('base.py')", base='a = 3').a == 3
    assert load("from pathlib import Path\n_base_ = [Path('base.py')]", base='a = 3').a == 3


def test_dicts_of_programs_are_bounded_too():
    values: dict = {}
    values['x'] = values
    with pytest.raises(ValueError, match='cfg_dict contains itself'):
        Config(values)


def test_methods_of_a_files_own_containers_run_while_it_is_read_and_no_more(tmp_path):
    path = tmp_path / 'own.py'
    path.write_text(
        'class D(dict):\n    __iter__ = keys = __len__ = lambda self: exit(3)\n'
        'class S(str):\n    __eq__ = lambda self, other: exit(3)\n    __hash__ = str.__hash__\n'
        'one = D(a=[1, D(b=(2,))])\ntwo = {S("a"): S("b")}\nthree = [one, one]\n'
    )
    cfg = Config.fromfile(path)
    one = {'a': [1, {'b': (2,)}]}
    assert cfg._cfg_dict.to_dict() == {'one': one, 'two': {'a': 'b'}, 'three': [one, one]}
    assert Config.fromstring(cfg.pretty_text, '.py').one == one
