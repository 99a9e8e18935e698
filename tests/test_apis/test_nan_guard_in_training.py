"""A run whose loss is no number, from config to report."""

import json

import pytest

from msseg.apis import load_config, train_from_config
from tests.tiny import write_config, write_discs

MORE = """
custom_hooks = [dict(type='NaNGuardHook', policy='skip', max_consecutive=2)]
optimizer['lr'] = 1e25
lr_config = dict(policy='fixed')
"""


def test_a_config_chooses_the_policy_and_the_report_names_classes_and_files(tmp_path):
    config = write_config(tmp_path, write_discs(tmp_path / 'data'), MORE)
    with pytest.raises(FloatingPointError, match=r'3 updates in a row.*loss is nan in iteration 4'):
        train_from_config(load_config(config), tmp_path / 'run', device='CPU', seed=0)
    reports = sorted((tmp_path / 'run').glob('nonfinite_iter_*.json'))
    assert [path.name for path in reports] == [f'nonfinite_iter_{i}.json' for i in (2, 3, 4)]
    report = json.loads(reports[0].read_text())
    assert report['update_skipped'] is True
    assert report['losses']['loss'] == 'nan'
    assert report['lr'] == pytest.approx([1e25])
    assert len(report['samples']) == 4
    for sample in report['samples']:
        assert sample['file'].endswith('.png')
        assert sum(sample['labels'].values()) == 32 * 32
        assert sample['labels'].keys() <= {'ground', 'disc', '(ignored)'}
        assert sample['image']['min'] < sample['image']['mean'] < sample['image']['max']
    (log,) = (tmp_path / 'run').glob('*.log')
    assert 'iteration 2 is not finite' in log.read_text()
    assert 'going on without the update: 1 left out so far' in log.read_text()
