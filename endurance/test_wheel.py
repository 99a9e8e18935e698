"""The built wheel outside of the clone: what it carries, and that it does all by itself."""

from pathlib import Path

import pytest

from tests import wheel

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope='module')
def built(tmp_path_factory):
    folder = tmp_path_factory.mktemp('wheel')
    return folder, *wheel.build(folder)


def test_the_wheel_has_the_package_its_configs_and_nothing_else(built):
    _, _, file = built
    names = wheel.names_in(file)
    inside = {name.partition('/.mim/')[2] for name in names if '/.mim/' in name}
    expected = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / 'configs').rglob('*')
        if path.suffix in ('.py', '.json')
    }
    assert inside == expected
    assert {name.partition('/')[0] for name in names} == {
        'msseg', next(name for name in names if '.dist-info' in name).partition('/')[0]
    }  # fmt: skip
    package = {path.relative_to(ROOT).as_posix() for path in (ROOT / 'msseg').rglob('*.py')}
    assert package <= set(names)
    templates = {p.relative_to(ROOT).as_posix() for p in ROOT.glob('msseg/reports/templates/*')}
    assert templates <= set(names)


def test_it_is_used_from_an_empty_folder(built):
    folder, _, file = built
    wheel.use(wheel.install_beside(file, folder / 'installed'), folder / 'empty')
