import json
import os
from pathlib import Path

import numpy as np
import pytest

from msseg.utils import dist
from msseg.utils.device import setup_device
from msseg.utils.launchers import LAUNCHERS, find_place, read_rank_table
from msseg.utils.rank_status import (
    FOLDER_VARIABLE,
    Status,
    ask_for_patience,
    note,
    note_together,
    read_status,
)
from msseg.utils.target import assume_target
from tests.many_processes import run_processes

WORKER = Path(__file__).with_name('dist_worker.py')
TABLE = {
    'version': '1.0',
    'server_list': [
        {
            'server_id': '10.0.0.1',
            'device': [
                {'device_id': '4', 'device_ip': '192.1.0.1', 'rank_id': '0'},
                {'device_id': '5', 'device_ip': '192.1.0.2', 'rank_id': '1'},
            ],
        }
    ],
}
MSRUN = {'MS_SCHED_HOST': '127.0.0.1', 'MS_SCHED_PORT': '8118', 'MS_WORKER_NUM': '2'}
MPI = ('OMPI_COMM_WORLD_SIZE', 'OMPI_COMM_WORLD_RANK', 'OMPI_COMM_WORLD_LOCAL_RANK')


@pytest.fixture
def environment(monkeypatch):
    """Sets variables; those of launchers that started the tests themselves are gone."""
    for name in (*MSRUN, *MPI, 'MS_ROLE', 'DEVICE_ID', 'ASCEND_DEVICE_ID', 'RANK_ID',
                 'RANK_TABLE_FILE'):  # fmt: skip
        monkeypatch.delenv(name, raising=False)

    def set_variables(**variables):
        for name, value in variables.items():
            monkeypatch.setenv(name, str(value))

    return set_variables


@pytest.fixture
def table(tmp_path):
    path = tmp_path / 'table.json'
    path.write_text(json.dumps(TABLE))
    return path


def test_three_processes_agree(tmp_path):
    run_processes(tmp_path, 3, WORKER, tmp_path)
    said = [json.loads((tmp_path / f'{rank}.json').read_text()) for rank in range(3)]
    assert said == [[0, 3], [1, 3], [2, 3]]


def test_one_process_keeps_its_own_values():
    counts = np.arange(4).reshape(2, 2) - 2
    np.testing.assert_array_equal(dist.sum_over_ranks(counts), counts)
    assert dist.sum_over_ranks(np.float32([0.1]))[0] == np.float32(0.1)
    assert dist.any_rank(True)
    assert not dist.any_rank(False)
    assert dist.broadcast_object({'a': 1}) == {'a': 1}
    dist.barrier()
    dist.keep_together()
    dist.broadcast_parameters([])


def test_only_counts_and_floats_are_added():
    with pytest.raises(TypeError, match='got int32, expected int64 or floats'):
        dist.sum_over_ranks(np.int32([1]))


def test_no_launcher_needs_nothing(environment):
    dist.init_dist('none')
    assert find_place('none').device_id is None


@pytest.mark.parametrize('launcher', [name for name in LAUNCHERS if name != 'none'])
def test_a_launcher_that_did_not_start_the_process(environment, launcher):
    with pytest.raises(ValueError, match=f'--launcher {launcher}: .* not set.*start with .*NUM'):
        dist.init_dist(launcher)


def test_an_unknown_launcher():
    with pytest.raises(ValueError, match=r"'slrum', expected one of \['none', 'msrun'"):
        find_place('slrum')


def test_places(environment, table):
    environment(**MSRUN, MS_ROLE='MS_WORKER', DEVICE_ID=1)
    assert find_place('msrun').device_id == 1
    assert not find_place('msrun').is_scheduler
    environment(MS_ROLE='MS_SCHED')
    assert find_place('msrun').is_scheduler
    environment(**dict.fromkeys(MPI, 3))
    assert find_place('mpi').device_id == 3
    environment(RANK_TABLE_FILE=table, RANK_ID=1, DEVICE_ID=5)
    assert find_place('ranktable').device_id == 5
    assert read_rank_table(str(table)) == {0: 4, 1: 5}


def test_modelarts_variables_place_a_process(environment, table):
    environment(RANK_TABLE_FILE=table, RANK_ID=1, RANK_SIZE=2)
    with pytest.raises(ValueError, match='DEVICE_ID not set'):
        find_place('ranktable')
    environment(ASCEND_DEVICE_ID=1)
    assert find_place('ranktable').device_id == 1


@pytest.mark.parametrize('launcher', ['mpi', 'ranktable'])
def test_launchers_for_cards_alone(environment, table, launcher):
    environment(**dict.fromkeys(MPI, 0), RANK_TABLE_FILE=table, RANK_ID=0, DEVICE_ID=4)
    with pytest.raises(ValueError, match=f'--launcher {launcher} is for Ascend.*device is CPU'):
        dist.init_dist(launcher)


def test_rank_tables_that_do_not_fit(environment, table, tmp_path):
    environment(RANK_TABLE_FILE=tmp_path / 'none.json', RANK_ID=0, DEVICE_ID=0)
    with pytest.raises(OSError, match=r"none.json' cannot be read: No such file"):
        find_place('ranktable')
    environment(RANK_TABLE_FILE=table, RANK_ID=2)
    with pytest.raises(ValueError, match=r'RANK_ID is 2, but .* lists the ranks \[0, 1\]'):
        find_place('ranktable')
    environment(RANK_ID='two')
    with pytest.raises(ValueError, match="RANK_ID in the environment is 'two', expected a whole"):
        find_place('ranktable')
    table.write_text('{"server_list": [{"device": [{"rank_id": "0"}]}]}')
    environment(RANK_ID=0)
    with pytest.raises(ValueError, match=r'is no rank table: expected JSON with server_list'):
        find_place('ranktable')


def test_a_card_is_chosen_by_the_launcher_or_by_hand(environment):
    environment(**MSRUN, MS_ROLE='MS_WORKER', DEVICE_ID=1)
    with pytest.raises(ValueError, match='number of the card is 0, but with --launcher msrun'):
        setup_device('CPU', 0, 'msrun')
    assert setup_device('CPU', None, 'msrun') == 'CPU'


@pytest.mark.parametrize(
    ('device', 'buckets', 'timeout', 'patience_s'),
    [('CPU', [], None, 0.0), ('GPU', [32], None, 1800.0), ('Ascend', [32], '1800', 1800.0)],
)
def test_what_cards_need_is_set_up_when_processes_meet(
    environment, monkeypatch, device, buckets, timeout, patience_s
):
    environment(**MSRUN, MS_ROLE='MS_WORKER', HCCL_EXEC_TIMEOUT='77')
    monkeypatch.delenv('HCCL_CONNECT_TIMEOUT', raising=False)
    done, waits = [], []

    def init():
        done.append(('init', os.environ.get('HCCL_CONNECT_TIMEOUT')))

    monkeypatch.setattr('mindspore.communication.init', init)
    monkeypatch.setattr(
        'mindspore.set_auto_parallel_context', lambda **options: done.append(('context', options))
    )
    monkeypatch.setattr(dist, 'end_with_launcher', lambda: None)
    monkeypatch.setattr(dist, 'ask_for_patience', waits.append)
    with assume_target(device):
        dist.init_dist('msrun')
    assert done[0] == ('init', timeout)  # before the processes meet
    contexts = [options for name, options in done if name == 'context']
    assert contexts[0]['parallel_mode'] == 'data_parallel' and contexts[0]['gradients_mean']
    fusions = [options['comm_fusion']['allreduce'] for options in contexts[1:]]
    assert fusions == [{'mode': 'size', 'config': size} for size in buckets]
    assert waits == ([patience_s] if patience_s else [])
    assert os.environ['HCCL_EXEC_TIMEOUT'] == '77'  # a user's own
    monkeypatch.delenv('HCCL_CONNECT_TIMEOUT', raising=False)


def test_notes_say_what_a_rank_does(tmp_path, environment):
    environment(**{FOLDER_VARIABLE: tmp_path, 'RANK_ID': 2})
    assert read_status(tmp_path, 2) is None
    note('loading ' + 'ü' * 300)
    first = read_status(tmp_path, 2)
    note_together('computing iteration 7')
    second = read_status(tmp_path, 2)
    assert first.doing.startswith('loading üü')
    assert second == Status(first.step + 1, 'computing iteration 7', second.since_s)
    ask_for_patience(1800)
    note('compiling')
    assert read_status(tmp_path, 2).patience_s == 1800
    ask_for_patience(0)
    assert second.since_s >= first.since_s
