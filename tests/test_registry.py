from typing import Annotated

import pytest

from msseg.registry import Registry, build_from_cfg, call_with_cfg
from msseg.utils.arguments import Range

CATS = Registry('cat')


@CATS.register_module()
class BritishShorthair:
    def __init__(self, size=1, colour='blue'):
        if size < 0:
            raise ValueError(f'size is {size}')
        self.size, self.colour = size, colour


@CATS.register_module(name=['Siamese', 'Thai'])
class _Siamese:
    pass


@CATS.register_module()
def munchkin(legs):
    return f'cat on {legs} legs'


class Placed(dict):
    """A config node that knows where it stands, as ConfigDict does."""

    def config_path(self):
        return 'model.cats[1]'

    def config_file(self, key):
        return 'base.py'


def test_decorated_classes_and_functions_are_found_by_name():
    assert CATS.get('BritishShorthair') is BritishShorthair
    assert CATS.get('Siamese') is CATS.get('Thai') is _Siamese
    assert 'munchkin' in CATS
    assert 'Lion' not in CATS
    assert CATS.get('Lion') is None
    assert len(CATS) == 4
    assert set(CATS.module_dict) == {'BritishShorthair', 'Siamese', 'Thai', 'munchkin'}


def test_register_by_call_with_name_and_force():
    registry = Registry('dog')
    registry.register_module(module=BritishShorthair)
    registry.register_module('other', module=_Siamese)
    assert registry.get('other') is _Siamese
    with pytest.raises(KeyError, match='other is already registered in dog'):
        registry.register_module('other', module=BritishShorthair)
    registry.register_module('other', force=True, module=BritishShorthair)
    assert registry.get('other') is BritishShorthair


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ({'name': 3}, 'name must be either of None, an instance of str or a sequence of str'),
        ({'force': 1}, 'force must be a boolean'),
        ({'module': 'text'}, 'module must be a class or a function'),
        ({'name': _Siamese}, 'with parentheses'),
    ],
)
def test_wrong_registration_is_a_type_error(arguments, message):
    with pytest.raises(TypeError, match=message):
        Registry('dog').register_module(**arguments)


def test_build_passes_arguments_and_defaults_and_keeps_the_config():
    cfg = {'type': 'BritishShorthair', 'size': 3}
    cat = CATS.build(cfg, colour='lilac', size=9)
    assert (cat.size, cat.colour) == (3, 'lilac')
    assert cfg == {'type': 'BritishShorthair', 'size': 3}


def test_type_may_be_a_class_or_a_function_or_a_default():
    assert isinstance(build_from_cfg({'type': _Siamese}, CATS), _Siamese)
    assert build_from_cfg({'type': munchkin, 'legs': 4}, CATS) == 'cat on 4 legs'
    assert isinstance(build_from_cfg({}, CATS, {'type': 'Thai'}), _Siamese)


@pytest.mark.parametrize(
    ('cfg', 'default_args', 'error', 'message'),
    [
        ('Siamese', None, TypeError, 'cfg must be a dict'),
        ({'size': 1}, None, KeyError, 'must contain the key "type"'),
        ({'type': 'Siamse'}, None, KeyError, "not in the cat registry. Did you mean 'Siamese'"),
        ({'type': 'Zebra'}, None, KeyError, r"expected one of \['BritishShorthair', 'Siamese'"),
        ({'type': 7}, None, TypeError, 'type must be a str or valid type'),
        ({'type': 'Siamese'}, 0, TypeError, 'default_args must be a dict or None'),
        (
            {'type': 'BritishShorthair', 'colur': 'red'},
            None,
            TypeError,
            "BritishShorthair takes no argument 'colur'. Did you mean 'colour'",
        ),
    ],
)
def test_wrong_configs(cfg, default_args, error, message):
    with pytest.raises(error, match=message):
        build_from_cfg(cfg, CATS, default_args)


def test_wrong_registry():
    with pytest.raises(TypeError, match='registry must be a'):
        build_from_cfg({'type': 'Siamese'}, 'CATS')


def test_errors_say_config_path_and_file():
    with pytest.raises(ValueError, match=r'^model\.cats\[1\]: size is -1$'):
        CATS.build(Placed(type='BritishShorthair', size=-1))
    with pytest.raises(TypeError, match=r"model\.cats\[1\]: .* 'sise' \(set in base\.py\)"):
        CATS.build(Placed(type='BritishShorthair', sise=1))
    with pytest.raises(KeyError, match=r'model\.cats\[1\]: Lion is not'):
        CATS.build(Placed(type='Lion'))


def test_the_innermost_path_is_said_once():
    registry = Registry('house')

    @registry.register_module()
    class House:
        def __init__(self, cat):
            self.cat = CATS.build(cat)

    for cat, message in [
        (Placed(type='BritishShorthair', size=-1), 'size is -1'),
        (Placed(type='BritishShorthair', sise=1), 'BritishShorthair takes no argument'),
        (Placed(type='Lion'), 'Lion is not in the cat registry'),
    ]:
        with pytest.raises((ValueError, TypeError, KeyError)) as caught:
            registry.build({'type': 'House', 'cat': cat})
        assert caught.value.args[0].startswith(f'model.cats[1]: {message}')


def test_errors_of_the_operating_system_keep_their_class_and_number():
    registry = Registry('file')

    @registry.register_module()
    def reader(path):
        return open(path)

    with pytest.raises(FileNotFoundError, match=r"model\.cats\[1\]: No such file.*'/nowhere/x'"):
        registry.build(Placed(type='reader', path='/nowhere/x'))


class Own:
    """A user's, whose plain hints are no promise."""

    def __init__(self, share: Annotated[float, Range(0, 1)] = 0.5, count: int = 1):
        self.share, self.count = share, count


def test_ranges_that_a_users_class_declares_are_kept_and_its_other_hints_are_not():
    assert build_from_cfg({'type': Own, 'count': 'many'}, CATS).count == 'many'
    cfg = Placed(type=Own, share=2)
    message = (
        r'^model\.cats\[1\]: Own: share is 2 \(set in base.py\), expected a number from 0 to 1$'
    )
    with pytest.raises(ValueError, match=message):
        build_from_cfg(cfg, CATS)


def test_what_is_not_registered_is_called_with_the_same_care():
    assert call_with_cfg(Own, {'count': 3}, share=0.25).share == 0.25
    with pytest.raises(TypeError, match=r'^model\.cats\[1\]: Own takes no argument .shar'):
        call_with_cfg(Own, Placed(shar=1))
    with pytest.raises(TypeError, match='Own: it is 5, expected a dict'):
        call_with_cfg(Own, 5)
