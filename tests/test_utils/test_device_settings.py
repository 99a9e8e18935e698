"""What a config's ``device`` sets on a card, and why a card is not taken."""

import logging
from types import SimpleNamespace

import mindspore as ms
import pytest

from msseg.utils import device as device_module
from msseg.utils import device_settings
from msseg.utils.device import setup_device
from msseg.utils.device_settings import apply_device_settings
from msseg.utils.errors import ArgumentError
from msseg.utils.target import CHIPS, assume_target, get_target


@pytest.fixture
def calls(monkeypatch):
    """MindSpore's setters, which only note how they are called."""
    made = []

    def noting(name):
        return lambda *args, **kwargs: made.append((name, *args, *kwargs.values()))

    precision = {
        name: noting(name)
        for name in ('precision_mode', 'conv_allow_hf32', 'matmul_allow_hf32',
                     'conv_allow_tf32', 'matmul_allow_tf32')
    }  # fmt: skip
    cards = SimpleNamespace(op_precision=SimpleNamespace(**precision))
    monkeypatch.setattr(ms, 'device_context', SimpleNamespace(ascend=cards, gpu=cards))
    monkeypatch.setattr(ms, 'set_context', noting('set_context'))
    monkeypatch.setattr(ms.runtime, 'set_memory', noting('set_memory'))
    monkeypatch.setattr(device_settings, '_applied', {})
    return made


def test_settings_of_ascend(calls):
    with assume_target('Ascend'):
        apply_device_settings('O1', 'must_keep_origin_dtype', False, '28GB')
        assert calls == [
            ('set_context', {'jit_level': 'O1'}),
            ('precision_mode', 'must_keep_origin_dtype'),
            ('conv_allow_hf32', False),
            ('matmul_allow_hf32', False),
            ('set_memory', '28GB'),
        ]
        apply_device_settings('O1', max_memory='28GB')  # a second training in this process
    assert len(calls) == 5


def test_settings_of_gpus(calls):
    with assume_target('GPU'):
        apply_device_settings(allow_hf32=True)
        assert calls == [('conv_allow_tf32', True), ('matmul_allow_tf32', True)]
        for setting in ({'precision_mode': 'force_fp32'}, {'jit_level': 'O2'}):
            with pytest.raises(ValueError, match='on GPU: it is for Ascend alone'):
                apply_device_settings(**setting)


def test_on_the_cpu_settings_have_no_effect_and_that_is_logged(calls, caplog):
    caplog.set_level(logging.INFO)
    apply_device_settings(jit_level='O2', max_memory='2GB')
    assert calls == [] and "{'jit_level': 'O2', 'max_memory': '2GB'}: no effect" in caplog.text


@pytest.mark.parametrize(
    'wrong',
    [{'jit_level': 'O3'}, {'precision_mode': 'fp16'}, {'allow_hf32': 1}, {'max_memory': '0GB'},
     {'max_memory': '28'}, {'max_memory': 28}],
)  # fmt: skip
def test_wrong_values(calls, wrong):
    with assume_target('Ascend'), pytest.raises(ArgumentError, match=next(iter(wrong))):
        apply_device_settings(**wrong)


def test_what_comes_too_late_is_an_error(calls, monkeypatch):
    def refuse(**_):
        raise RuntimeError("The 'set_memory' can not be set repeatedly.")

    monkeypatch.setattr(ms.runtime, 'set_memory', refuse)
    with assume_target('Ascend'), pytest.raises(ValueError, match='too late.*set repeatedly'):
        apply_device_settings(max_memory='3GB')


def test_float32_on_910a_comes_with_a_warning(calls, caplog):
    with assume_target('Ascend', 'ascend910'):
        apply_device_settings()
        assert 'multiplies in float16, float32 networks too' in caplog.text
        caplog.clear()
        apply_device_settings(precision_mode='allow_fp32_to_fp16')
    assert caplog.text == ''


@pytest.mark.parametrize(
    ('chip', 'variables', 'saturates', 'sinks'),
    [
        ('ascend910', {}, True, True),
        ('ascend910b', {}, False, False),
        ('ascend910b', {'MS_ASCEND_CHECK_OVERFLOW_MODE': 'SATURATION_MODE'}, True, False),
        ('ascend910_93', {'RANK_TABLE_FILE': 'table.json'}, False, True),
        ('ascend910b', {'RANK_TABLE_FILE': 'table.json', 'MS_ROLE': 'MS_WORKER'}, False, False),
    ],
)
def test_chips_overflow_and_sink_graphs(monkeypatch, chip, variables, saturates, sinks):
    for name in ('RANK_TABLE_FILE', 'MS_ROLE', 'MS_ASCEND_CHECK_OVERFLOW_MODE'):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with assume_target('Ascend', chip) as target:
        assert get_target() is target
        assert (target.saturates, target.sinks_graphs) == (saturates, sinks)
    assert get_target().name == 'CPU' and chip in CHIPS


@pytest.mark.parametrize(('level', 'sinks'), [('O0', False), ('O2', True)])
def test_a_chosen_level_decides_whether_graphs_are_sunk(monkeypatch, level, sinks):
    monkeypatch.setattr('mindspore.context.get_jit_config', lambda: {'jit_level': level})
    for chip in CHIPS:
        with assume_target('Ascend', chip) as target:
            assert target.sinks_graphs == sinks


def test_a_missing_library_is_named(monkeypatch):
    missing = {'libmindspore_gpu.so.11.1': ['libcudnn.so.8', 'libcuda.so.1']}
    monkeypatch.setattr(
        device_module, '_missing_libraries', lambda path: missing.get(path.name, ['libcudnn.so.8'])
    )
    with pytest.raises(ValueError, match=r"'GPU' is not available.*libcudnn.so.8.*docs/gpu.md"):
        setup_device('GPU')


def test_auto_says_why_a_card_is_passed_over(monkeypatch, caplog):
    monkeypatch.setattr(device_module, '_has_hardware', lambda name: name == 'GPU')
    assert setup_device('auto') == 'CPU'
    (line,) = [record.message for record in caplog.records if 'auto' in record.message]
    assert line.startswith('--device auto takes no GPU: ') and 'libmindspore_gpu' in line


def test_a_plugin_without_a_card_is_no_device(monkeypatch):
    cards = SimpleNamespace(is_available=lambda: True, device_count=lambda: 0)
    monkeypatch.setattr(ms, 'device_context', SimpleNamespace(ascend=cards, gpu=cards))
    assert setup_device('auto') == 'CPU'
    with pytest.raises(ValueError, match='no card is visible'):
        setup_device('Ascend')


def test_exact_repetition_is_asked_for_before_the_devices_meet(monkeypatch):
    """And once: MindSpore refuses a second time."""
    from msseg.apis import train

    order, state = [], {'deterministic': 'OFF'}

    def be_deterministic(value):
        order.append('deterministic')
        state['deterministic'] = 'ON'

    def meet(launcher):
        order.append('meet')
        raise ConnectionError

    monkeypatch.setattr(ms, 'set_deterministic', be_deterministic)
    real = ms.get_context
    monkeypatch.setattr(ms, 'get_context', lambda key: state.get(key) or real(key))
    monkeypatch.setattr(train, 'init_dist', meet)
    for _ in range(2):
        with pytest.raises(ConnectionError):
            train.train_from_config({}, device='CPU', deterministic=True)
    assert order == ['deterministic', 'meet', 'meet']
