import importlib

import pytest

from msseg import renamed_modules
from msseg.renamed_modules import new_name


def test_a_module_imports_by_its_old_name_with_a_warning():
    from msseg.checks.data import rules

    with pytest.warns(DeprecationWarning, match='apis.check_dataset.rules is msseg.checks.d'):
        old = importlib.import_module('msseg.apis.check_dataset.rules')
    assert old is rules
    assert old.__spec__.name == 'msseg.checks.data.rules'


@pytest.mark.parametrize('old', list(renamed_modules._RENAMED))
def test_every_new_name_is_there(old):
    assert importlib.util.find_spec(new_name(f'msseg.{old}')) is not None


def test_no_other_name_is_taken():
    assert new_name('msseg.apis.exports') is None
    assert new_name('other.apis.export') is None
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module('msseg.apis.nothing')
