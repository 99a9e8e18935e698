"""The doctor of configs on sound configs, on several faults at once, and where it stops."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import numpy as np
import pytest
from mindspore import Tensor, nn
from PIL import Image

from msseg.apis import build_model, load_config
from msseg.checks.config import check_config, format_report
from msseg.checks.config.check import warn_of_settings
from msseg.checks.config.rules import RULES
from msseg.checks.config.training import check_train_cfg
from msseg.checks.findings import Findings
from msseg.config import Config
from msseg.models.builder import BACKBONES
from tests.test_checks.test_config.nuclei_config import ROOT, write_configs
from tests.tiny import write_config, write_discs
from tests.tiny_families import FAMILIES

CONFIGS = sorted(
    file.relative_to(ROOT).as_posix()
    for file in ROOT.glob('configs/*/*.py')
    if file.parent.name != '_base_'
)


def kinds(report):
    return [finding.kind for finding in report.findings]


def test_nothing_is_wrong_with_a_sound_config_and_one_step_is_done(tmp_path):
    path = write_configs(tmp_path)
    before = sorted(tmp_path.rglob('*'))
    report = check_config(path)

    assert kinds(report) == [], format_report(report)
    assert report.model.heads == {'decode_0': 'FCNHead', 'decode_1': 'OCRHead'}
    assert report.model.segmentor == 'CascadeEncoderDecoder'
    assert [split.num_images for split in report.splits.values()] == [180, 50, 50]
    assert report.num_iters == 8
    assert report.dry_run.batch == (4, 3, 32, 32) and report.dry_run.computed == (2, 3, 32, 32)
    assert 0 < report.dry_run.loss < 10 and report.dry_run.grad_norm > 0
    text = format_report(report)
    assert 'on 2 of 4 images (32x32): loss ' in text
    assert 'memory of a step with the whole batch: about ' in text
    # the four images themselves, at the very least
    assert report.dry_run.memory.activations > 4 * 3 * 32 * 32 * 4
    assert text.endswith('nothing is wrong')
    assert sorted(tmp_path.rglob('*')) == before
    report.write_json(tmp_path / 'found.json')
    assert json.loads((tmp_path / 'found.json').read_text())['trial']['computed'] == [2, 3, 32, 32]


def test_training_warns_of_settings_that_do_not_fit(tmp_path, caplog):
    path = write_configs(tmp_path, 'data = dict(val=dict(ignore_index=7))')
    cfg = load_config(path, {'data.val.pipeline.1.transforms.2.std': [1, 1, 1]})
    warn_of_settings(cfg, logging.getLogger('msseg'))
    ignored, norm = [record.message for record in caplog.records]
    assert ignored.startswith('ignore_index that differs: model.decode_head[0].ignore_index')
    assert '255, but data.val.ignore_index is 7' in ignored and ' and 1 more. ' in ignored
    assert norm.startswith('img_norm_cfg that differs: ') and 'std' in norm
    assert {record.levelname for record in caplog.records} == {'WARNING'}

    caplog.clear()
    cfg = load_config(write_configs(tmp_path))
    warn_of_settings(cfg, logging.getLogger('msseg'))
    cfg.evaluation.interval = 1000
    warn_of_settings(cfg, logging.getLogger('msseg'), validate=False)
    assert not caplog.records
    warn_of_settings(cfg, logging.getLogger('msseg'))
    assert 'evaluation interval longer than the run' in caplog.text


@pytest.fixture(scope='module')
def build_once():
    """Build each distinct model once: many configs differ in their schedule alone."""
    built = {}

    def build(cfg):
        key = repr(cfg.model.to_dict())
        if key not in built:
            built[key] = build_model(cfg)
        return built[key]

    return build


@pytest.mark.parametrize('file', CONFIGS)
def test_nothing_is_wrong_with_the_configs_here(file, build_once, monkeypatch):
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr('msseg.checks.config.build.build_model', build_once)
    report = check_config(file, with_files=False)
    assert kinds(report) == [], format_report(report)
    assert report.model.num_parameters > 1e5


def test_all_faults_of_a_config_are_found_in_one_go(tmp_path):
    text = """
_base_ = ['base.py', 'more.py']
model = dict(decode_head={0: dict(num_classes=5, in_index=(0, 1, 2, 7)), 1: dict(typo=1)})
data = dict(samples_per_gpu=1, train=dict(pipeline={3: dict(crop_size=(64, 64)), 6: dict(
    seg_pad_val=0)}), val=dict(img_dir='nowhere'), test=dict(pipeline={0: dict(type='Lod')}))
lr_config = dict(warmup='linear', warmup_iters=80)
evaluation = dict(interval=80, save_best='best')
optimizer = dict(lr=-1)
"""
    (tmp_path / 'more.py').write_text("lr_config = dict(policy='fixed')\n")
    report = check_config(write_configs(tmp_path, text))

    assert kinds(report) == [
        'duplicate_base_key', 'unknown_type', 'misspelt_argument', 'wrong_value', 'num_classes',
        'in_index', 'seg_pad_val', 'crop_size', 'warmup', 'evaluation_interval', 'unknown_score',
        'data_path', 'batch_norm',
    ], format_report(report)  # fmt: skip
    assert (report.num_errors, report.num_warnings) == (12, 1)
    assert report.dry_run is None and report.model is None


def test_options_are_named_as_the_origin(tmp_path):
    report = check_config(
        write_configs(tmp_path), {'model.decode_head.*.num_classes': 3}, with_step=False
    )
    places = report.findings[0].places
    assert list(places) == ['model.decode_head[0].num_classes', 'model.decode_head[1].num_classes']
    assert {place.origin for place in places.values()} == {'--cfg-options'}


def test_faults_in_files_that_bases_inherit_from_are_traced_to_them(tmp_path):
    write_configs(tmp_path, 'model = dict(decode_head={0: dict(num_classes=4)})')
    (tmp_path / 'child.py').write_text("_base_ = './config.py'\nseed = 3\n")
    report = check_config(tmp_path / 'child.py', with_step=False)
    place = report.findings[0].places['model.decode_head[0].num_classes']
    assert place.origin == str(tmp_path / 'config.py')


def test_a_config_that_duplicate_keys_leave_unreadable_is_reported_all_the_same(tmp_path):
    (tmp_path / 'more.py').write_text("model = dict(decode_head=dict(type='FCNHead'))\n")
    text = "_base_ = ['base.py', 'more.py']\nmodel = dict(decode_head={'*': dict(num_classes=2)})"
    report = check_config(write_configs(tmp_path, text))
    assert kinds(report) == ['duplicate_base_key'] and report.model is None


def test_without_files_nothing_is_looked_for(tmp_path):
    text = "data = dict(train=dict(data_root='nowhere'))\nmodel = dict(pretrained='nothing.pth')"
    path = write_configs(tmp_path, text)
    assert kinds(check_config(path, with_files=False)) == []
    assert kinds(check_config(path)) == ['data_path', 'weights_path']


def test_what_cannot_be_read_is_one_error(tmp_path):
    with pytest.raises(FileNotFoundError, match='absent.py'):
        check_config(tmp_path / 'absent.py')
    with pytest.raises(ValueError, match='config.py, line 2'):
        check_config(write_configs(tmp_path, 'model = dict('))
    with pytest.raises(KeyError, match="'num_classes'"):
        check_config(write_configs(tmp_path), {'model.decode_head.0.num_clases': 3})


def test_a_sample_that_does_not_load_is_found(tmp_path, monkeypatch):
    for folder in ('images', 'labels'):
        (tmp_path / folder).mkdir()
    image = next(iter(sorted((ROOT / 'demo/nuclei/images/val').iterdir())))
    (tmp_path / 'images' / image.name).write_bytes(image.read_bytes())
    (tmp_path / 'labels' / f'{image.stem}.png').write_bytes(b'no label')
    text = f"data = dict(train=dict(data_root=r'{tmp_path}', img_dir='images', ann_dir='labels'))"
    report = check_config(write_configs(tmp_path, text))
    assert kinds(report)[:2] == ['does_not_load', 'unreadable_file']
    assert list(report.findings[0].places) == ['data.train']
    assert [Path(path).suffix for path in report.findings[1].files] == ['.png']
    assert Path(f'{image.stem}.png').name in format_report(report)


@BACKBONES.register_module()
class Eighth(nn.Cell):
    """One convolution, to an eighth of the size."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 8, stride=8, pad_mode='valid')

    def construct(self, x: Tensor) -> tuple[Tensor]:
        return (self.conv(x),)


@pytest.mark.parametrize(
    ('head', 'kind', 'phrase'),
    [
        ('in_channels=5', 'does_not_run', "RuntimeError: For 'Conv2D'"),
        (
            "loss_decode=dict(type='CrossEntropyLoss', class_weight=[3e38, 3e38], reduction='sum')",
            'not_finite',
            'inf',
        ),
        ("loss_decode=dict(type='CrossEntropyLoss', loss_weight=0.0)", 'no_gradient', 'loss 0,'),
    ],
)
def test_what_only_a_step_shows_is_found(tmp_path, head, kind, phrase):
    text = f"""
_head = dict(type='FCNHead', in_channels=4, channels=4, num_convs=0, num_classes=2, in_index=0,
             concat_input=False)
_head.update({head})
_head['channels'] = _head['in_channels']
model = dict(_delete_=True, type='EncoderDecoder', backbone=dict(type='Eighth'), decode_head=_head)
"""
    report = check_config(write_configs(tmp_path, text))
    assert kinds(report) == [kind], format_report(report)
    note = report.findings[0].places['model'].note
    assert phrase in note and '--' not in note
    assert (report.dry_run is None) == (kind == 'does_not_run')


def test_a_sample_of_the_files_is_checked(tmp_path):
    root = write_discs(tmp_path, count=6)
    for path in (tmp_path / 'labels').iterdir():
        label = np.array(Image.open(path))
        Image.fromarray(np.where(label == 1, 200, label).astype(np.uint8)).save(path)
    report = check_config(write_config(tmp_path, root), with_step=False)
    finding = next(f for f in report.findings if f.kind == 'value_out_of_range')
    assert 'label_map' in finding.todo and finding.splits == ['train', 'val', 'test']


def test_settings_of_train_cfg_that_a_head_reads_are_no_finding():
    cfg = Config(dict(model=FAMILIES['point_rend'].model))
    cfg.model.train_cfg.update(num_point=8)  # one letter is missing
    findings = Findings(RULES)
    check_train_cfg(cfg, findings)
    assert [[*finding.places] for finding in findings.sorted()] == [['model.train_cfg.num_point']]
