"""Reading files: what counts as a setting, errors with file and line, variables, imports."""

from __future__ import annotations

import math
import os
import sys

import pytest

from msseg.config import Config, custom_imports, import_modules_from_strings


def test_only_settings_are_taken(load):
    cfg = load(
        """
        from __future__ import annotations
        import os.path as osp
        from math import sqrt
        from collections import OrderedDict
        def twice(x):
            return 2 * x
        _hidden = 1
        __dunder__ = 2
        a = [twice(i) for i in (1, 2)] + [sqrt(4), osp.join('x', 'y')]
        """
    )
    assert cfg._cfg_dict == dict(_hidden=1, a=[2, 4, 2.0, 'x/y'])


def test_a_config_is_no_module_and_leaves_none(load):
    before = set(sys.modules), list(sys.path)
    cfg = load('name = __name__\nfile = __file__')
    assert (set(sys.modules), list(sys.path)) == before
    assert cfg.name == 'config'
    assert cfg.file.endswith('/config.py')


@pytest.mark.parametrize(
    ('text', 'error', 'message'),
    [
        ('a = 1\nb = (', ValueError, r"config.py, line 2: '\(' was never closed: b = \("),
        ('a = 1\n\nb = a + c', ValueError, "config.py, line 3: NameError: name 'c' is not defined"),
        ("a = {}['x']", ValueError, "config.py, line 1: KeyError: 'x'"),
        ('import no_such_thing', ImportError, 'config.py, line 1: ModuleNotFoundError: No module'),
        ('def f():\n    return 1 / 0\nx = f()', ValueError, 'config.py, line 2: ZeroDivision'),
        ("a = {\n 'x': 1,\n 'x': 2}", ValueError, "config.py, line 3: the key 'x' stands twice"),
        ("filename = 'x'", KeyError, 'config.py: filename is reserved'),
        ("text = 'x'", KeyError, 'config.py: text is reserved'),
    ],
)
def test_errors_in_a_config_name_file_and_line(load, text, error, message):
    with pytest.raises(error, match=message):
        load(text)


@pytest.mark.parametrize(
    ('name', 'text', 'message'),
    [
        ('x.json', '{"a": 1,\n}', 'x.json, line 2: no JSON'),
        ('x.yaml', 'a: 1\nb: [', r'x.yaml, line \d: no YAML'),
        ('x.json', '[1]', 'x.json: expected a mapping at the top, got list'),
        ('x.yaml', 'text', 'x.yaml: expected a mapping at the top, got str'),
    ],
)
def test_errors_in_json_and_yaml_name_the_file(write, name, text, message):
    with pytest.raises(ValueError, match=message):
        Config.fromfile(write(name, text))


def test_a_pipe_in_place_of_a_config_is_named(load, tmp_path):
    os.mkfifo(tmp_path / 'base.yaml')
    os.mkfifo(tmp_path / 'pipe.py')
    with pytest.raises(ValueError, match='pipe.py: is a named pipe, expected a file'):
        Config.fromfile('pipe.py')
    with pytest.raises(ValueError, match='base.yaml: is a named pipe, expected a file'):
        load("_base_ = 'base.yaml'")


def test_an_error_in_a_base_names_the_base(load):
    with pytest.raises(ValueError, match='base.py, line 2: ZeroDivisionError'):
        load("_base_ = 'base.py'", base='\na = 1 / 0')


@pytest.mark.parametrize('extension', ['py', 'json', 'yaml'])
def test_predefined_variables(write, tmp_path, extension):
    text = {
        'py': "a = '{{ fileDirname }}'\nb = '{{fileBasename}}'\n"
        "c = './work_dirs/{{ fileBasenameNoExtension }}'\nd = '{{ fileExtname }}'",
        'json': '{"a": "{{ fileDirname }}", "b": "{{fileBasename}}",'
        ' "c": "./work_dirs/{{ fileBasenameNoExtension }}", "d": "{{ fileExtname }}"}',
        'yaml': 'a: "{{ fileDirname }}"\nb: "{{fileBasename}}"\n'
        'c: "./work_dirs/{{ fileBasenameNoExtension }}"\nd: "{{ fileExtname }}"',
    }[extension]
    name = write(f'sub/my_net.{extension}', text)
    cfg = Config.fromfile(name)
    assert cfg.a == str(tmp_path / 'sub')
    assert cfg.b == f'my_net.{extension}'
    assert cfg.c == './work_dirs/my_net'
    assert cfg.d == f'.{extension}'
    if extension == 'py':
        assert '{{' in Config.fromfile(name, use_predefined_variables=False).a


BASE = "a = dict(b=2, size=(4, 8), list=[dict(x='deep')])\nname = 'net'"


def test_base_variables_in_code_strings_dicts_and_lists(load):
    cfg = load(
        """
        '''A docstring may mention {{ _base_.a.b }} and {{ _base_.nothing }}.'''
        _base_ = ['base.py']
        whole = {{ _base_.a }}
        number = {{_base_.a.b}} * 10
        quoted = '{{ _base_.a.size }}'
        inside = 'work/{{ _base_.name }}_{{ _base_.a.b }}'
        formatted = f'{number}-{{ _base_.name }}'
        nested = dict(p={{ _base_.a.list.0.x }}, q=[{{ _base_.name }}, '{{ _base_.name }}!'])
        later = (lambda: {{ _base_.name }})()  # {{ _base_.not_there }}
        """,
        base=BASE,
    )
    assert cfg.whole == cfg.a and cfg.whole is not cfg.a
    assert cfg.number == 20
    assert cfg.quoted == (4, 8)
    assert cfg.inside == 'work/net_2'
    assert cfg.formatted == '20-net'
    assert cfg.nested == dict(p='deep', q=['net', 'net!'])
    assert cfg.later == 'net'
    assert not any(key.startswith('__') for key in cfg)
    cfg.whole.size = 1
    assert cfg.a.size == (4, 8)


def test_base_variables_in_json_and_yaml(write):
    write('base.py', BASE)
    write(
        'x.json',
        '{"_base_": "base.py", "p": {{ _base_.a.size }}, "q": ["{{ _base_.a }}"],'
        ' "r": {"s": "a-{{ _base_.name }}"}}',
    )
    cfg = Config.fromfile('x.json')
    assert (cfg.p, cfg.q, cfg.r) == ((4, 8), [cfg.a], dict(s='a-net'))
    write(
        'x.yaml', '_base_: base.py\np: {{ _base_.a.b }}\nq: ["{{ _base_.a }}", a-{{_base_.name}}]'
    )
    cfg = Config.fromfile('x.yaml')
    assert (cfg.p, cfg.q) == (2, [cfg.a, 'a-net'])


def test_a_base_variable_keeps_the_file_of_its_parts(load):
    cfg = load("_base_ = 'base.py'\nagain = dict(a={{ _base_.a }})", base=BASE)
    assert cfg.explain('again.a') == 'config.py'
    assert cfg.explain('again.a.b') == 'base.py'
    assert cfg.again.a.config_path() == 'again.a'


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        (
            "_base_ = 'base.py'\n\nx = {{ _base_.a.bb }}",
            r'config.py, line 3: {{ _base_.a.bb }}: .*',
        ),
        ("_base_ = 'base.py'\nx = '-{{ _base_.nam }}'", r"have no 'nam'\. Did you mean 'name'\?"),
        ("_base_ = 'base.py'\nx = {{ _base_.a.size.2 }}", r"'2' in \(4, 8\)"),
        ("x = {{ _base_.a }}\n_base_ = 'base.py'", 'config.py, line 1: .*before `_base_` is set'),
        ('x = {{ _base_.a }}', 'line 1: .*before `_base_` is set, or no `_base_` is'),
    ],
)
def test_an_unknown_base_variable_is_an_error(load, text, message):
    with pytest.raises((KeyError, ValueError), match=message):
        load(text, base=BASE)


def test_custom_imports_from_the_folder_of_the_file_that_lists_them(write, monkeypatch):
    monkeypatch.setattr(sys, 'path', list(sys.path))
    write('sub/base/my_own_head_1.py', 'VALUE = 1')
    write('sub/base/base.py', "custom_imports = dict(imports='my_own_head_1')")
    write('here_own_head_2.py', 'VALUE = 2')
    write('sub/config.py', "_base_ = 'base/base.py'")
    Config.fromfile('sub/config.py', import_custom_modules=False)
    assert 'my_own_head_1' not in sys.modules
    Config.fromfile('sub/config.py')
    assert sys.modules.pop('my_own_head_1').VALUE == 1
    write('sub/other.py', "custom_imports = dict(imports=['here_own_head_2'])")
    Config.fromfile('sub/other.py')
    assert sys.modules.pop('here_own_head_2').VALUE == 2


def test_custom_imports_that_fail(load, caplog):
    with pytest.raises(ImportError, match=r"custom_imports: 'no_such_head'.*No module.*PYTHONPATH"):
        load("custom_imports = dict(imports=['no_such_head'])")
    with pytest.raises(ImportError, match="'broken_head' failed to import.*no_such_name"):
        load(
            "custom_imports = dict(imports='broken_head')",
            broken_head='from math import no_such_name',
        )
    with pytest.raises(
        TypeError, match=r"takes imports and allow_failed_imports, got \['import'\]"
    ):
        load("custom_imports = {'import': 'y'}")
    with pytest.raises(TypeError, match='expected a string or a list of them, got 3'):
        load('custom_imports = dict(imports=3)')
    load("custom_imports = dict(imports=['no_such_head'], allow_failed_imports=True)")
    assert "'no_such_head' failed to import" in caplog.text


def test_a_custom_module_that_another_hides_is_an_error(load):
    with pytest.raises(ImportError, match="'json' is .*json.py, but another module of that name"):
        load("custom_imports = dict(imports=['json'])", json='x = 1')


def test_import_modules_from_strings():
    assert import_modules_from_strings('math') is math
    assert import_modules_from_strings(['math', 'sys']) == [math, sys]
    assert import_modules_from_strings(None) is import_modules_from_strings([]) is None
    assert import_modules_from_strings('no_such_thing', allow_failed_imports=True) is None


def test_networks_of_mmcls_are_here_which_is_reported_once(load, caplog, monkeypatch):
    seen = set()
    monkeypatch.setattr(
        custom_imports, 'is_first', lambda text: not (text in seen or seen.add(text))
    )
    caplog.set_level('INFO', 'msseg')
    for _ in range(2):
        load("custom_imports = dict(imports='mmcls.models', allow_failed_imports=False)")
    assert 'mmcls' not in sys.modules
    said = [r.getMessage() for r in caplog.records if 'mmcls.models is not imported' in r.message]
    assert len(said) == 1
    with pytest.raises(ImportError, match="'mmcls.apis' failed to import"):
        load("custom_imports = dict(imports=['mmcls.models', 'mmcls.apis'])")


HOSTILE_TAGS = [
    '!!python/name:shutil.rmtree',
    '!!python/module:shutil',
    '!!python/object:subprocess.Popen {}',
    '!!python/object/new:os.system [touch gone]',
    '!!python/object/apply:os.system [touch gone]',
    '!!python/complex 1j',
    '!mine x',
]


@pytest.mark.parametrize('tag', HOSTILE_TAGS)
@pytest.mark.parametrize('text', ['model:\n  type: {}\n  path: x', '_base_: base.py\nmodel:\n- {}'])
def test_yaml_holds_plain_data_only(write, tmp_path, tag, text):
    write('base.py', 'a = 1')
    with pytest.raises(ValueError, match=r'x.yaml, line [23]: could not determine .*plain data'):
        Config.fromfile(write('x.yaml', text.format(tag)))
    assert not (tmp_path / 'gone').exists()


def test_yaml_tuples_come_back(write):
    assert Config.fromfile(write('x.yaml', 'a: !!python/tuple [1, [2, 3e-4]]')).a == (1, [2, 3e-4])


@pytest.mark.parametrize(
    ('name', 'text'),
    [
        ('x.json', '{"_base_": "base.py", "model": {"type": "{{ _base_.tools.remove }}"}}'),
        ('x.yaml', '{_base_: base.py, model: {type: "{{ _base_.tools.remove }}"}}'),
    ],
)
def test_json_and_yaml_take_no_function_from_a_python_base(write, name, text):
    write('base.py', 'import shutil\ntools = dict(remove=shutil.rmtree)')
    with pytest.raises(ValueError, match=r'_base_.tools.remove }}: it is a class or function'):
        Config.fromfile(write(name, text))


def test_yaml_merges_keys(write):
    text = 'base: &b {lr: 1, x: 2}\na:\n  <<: *b\n  lr: 3'
    assert Config.fromfile(write('x.yaml', text)).a == dict(lr=3, x=2)
