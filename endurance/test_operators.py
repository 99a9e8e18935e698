"""Each family's tiny model through the audit of operators, as for each kind of card."""

import pytest

from msseg.checks.operators import format_faults
from msseg.utils.device import setup_device
from tests.test_checks.test_operators import TARGETS, audit_family
from tests.tiny_families import FAMILIES


@pytest.fixture(autouse=True)
def _mode_of_users():
    setup_device('CPU')


@pytest.mark.parametrize(('device', 'chip'), TARGETS, ids=['gpu', 'ascend910b', 'ascend910a'])
@pytest.mark.parametrize('name', FAMILIES)
def test_a_card_runs_every_operator(name, device, chip):
    faults = audit_family(name, device, chip)
    assert not faults, format_faults({chip or device: faults})
