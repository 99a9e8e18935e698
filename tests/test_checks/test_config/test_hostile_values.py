"""Values that no class checks end in one finding, or one line of training; never in a traceback."""

import sys

import pytest

from msseg.apis import load_config, train_from_config
from msseg.checks.config import check_config
from msseg.datasets.builder import PIPELINES
from msseg.models.builder import BACKBONES
from msseg.runner.builder import HOOKS
from tests.small_run import SmallRun


@pytest.fixture(scope='module')
def small(tmp_path_factory):
    """A config that trains, in a folder of its own; its module is forgotten at the end."""
    before = list(sys.path)
    yield SmallRun(tmp_path_factory.mktemp('small'), images=2).config
    sys.path[:] = before
    sys.modules.pop('small_parts', None)
    BACKBONES.module_dict.pop('OneConv', None)
    PIPELINES.module_dict.pop('Trap', None)
    HOOKS.module_dict.pop('Pause', None)


@pytest.fixture
def write(small):
    def write_case(more):
        path = small.with_name('case.py')
        path.write_text(f'{small.read_text()}{more}')
        return path

    return write_case


@pytest.mark.parametrize(
    ('more', 'kind', 'words'),
    [
        ("lr_config = dict(policy='step', step=0)", 'wrong_value', 'step'),
        ('optimizer_config = [1]', 'no_dict', 'optimizer_config'),
        ("optimizer_config = 'x'", 'no_dict', 'optimizer_config'),
        ('fp16 = 5', 'no_dict', 'fp16'),
        ('log_config = [1]', 'no_dict', 'log_config'),
        ('auto_scale_lr = 5', 'no_dict', 'auto_scale_lr'),
        ("model['test_cfg'] = (1, 2)", 'no_dict', 'test_cfg'),
        ("optimizer = dict(type='AdamW', lr=0.1, betas=(0.9,))", 'wrong_value', 'betas'),
        ('runner["max_iters"] = 10**400', '', 'max_iters'),
        ("data['train']['data_root'] = ''", '', 'data_root'),
        ('custom_hooks = [dict(type="EMAHook", momentum=10**400)]', '', 'momentum'),
    ],
)
def test_findings(write, more, kind, words):
    config = write(more + '\n')
    try:
        report = check_config(config, with_step=False)
    except (ValueError, TypeError) as error:
        assert words in str(error) and not kind
        return
    found = [f for f in report.findings if words in str(f)]
    assert found and report.num_errors
    assert not kind or kind in [f.kind for f in report.findings], report.findings


def test_a_network_that_fails_is_one_line(write, tmp_path):
    cfg = load_config(str(write("model['decode_head']['in_index'] = 5\n")))
    with pytest.raises(ValueError, match=r'failed.*, line \d+: IndexError: tuple index'):
        train_from_config(cfg, tmp_path / 'run', device='CPU', validate=False)
