"""docs/one_step.md is what docs/one_step.py writes."""

import json
from dataclasses import asdict, replace

import mindspore as ms
import numpy as np
import pytest

from docs import one_step

ROWS = one_step.read_rows(one_step.RESULTS)
FAST = 'fastscnn/fast_scnn_lr0.12_8x4_160k_cityscapes'


def test_the_page_is_up_to_date():
    written = one_step.PAGE.read_text(encoding='utf-8')
    assert written == one_step.page(ROWS, one_step.config_names()), 'run python docs/one_step.py'


def test_config_files_have_one_row_each_and_passed():
    done = [name for row in ROWS for name in row.files]
    assert len(done) == len(set(done))
    assert set(done) <= set(one_step.config_names())
    assert {row.files[0]: row.error for row in ROWS if row.error} == {}


def test_a_model_is_trained_once_and_has_a_row(tmp_path, capsys):
    ms.set_context(mode=ms.PYNATIVE_MODE)
    path = tmp_path / 'rows.jsonl'
    one_step.train_models([FAST], path, seconds=60)
    (row,) = one_step.read_rows(path)
    assert (row.files, row.error, row.steps, row.dtype) == ([FAST], '', 1, 'float32')
    stored = next(row for row in ROWS if FAST in row.files)
    assert row.loss == pytest.approx(stored.loss, rel=1e-3)
    assert (row.size, row.tensors, row.kept) == (stored.size, stored.tensors, stored.kept)
    assert 'passed' in capsys.readouterr().out
    one_step.train_models([FAST], path, seconds=60)
    assert capsys.readouterr().out == ''


def test_what_does_not_build_has_a_row_too(monkeypatch):
    cfg = one_step.load(FAST)
    cfg.model.backbone.norm_cfg = dict(type='Nothing')
    monkeypatch.setattr(one_step, 'load', lambda name: cfg)
    assert 'Nothing' in one_step.try_step([FAST]).error


def test_nothing_is_begun_after_the_time(tmp_path, capsys):
    one_step.train_models([FAST], tmp_path / 'rows.jsonl', seconds=-1)
    assert not (tmp_path / 'rows.jsonl').exists()
    assert '1 models are left' in capsys.readouterr().out


def test_files_that_differ_in_data_and_schedule_share_a_model():
    def key(name):
        return one_step.model_key(one_step.load(name))

    first = key('fcn/fcn_r50-d8_512x512_20k_voc12aug')
    assert key('fcn/fcn_r50-d8_512x512_160k_ade20k') == first
    assert key('fcn/fcn_r101-d8_512x512_20k_voc12aug') != first
    assert key('fcn/fcn_r50-d8_512x1024_40k_cityscapes') != key(
        'fcn/fcn_r50-d8_769x769_40k_cityscapes'
    )


@pytest.mark.parametrize(
    ('values', 'after', 'fault'),
    [
        ({'loss': 1.0}, [1.0, 3.0], ''),
        ({'loss': 1.0}, [1.0, 2.0], 'no weight'),
        ({'loss': 1.0}, [np.nan, 3.0], 'weights are not finite'),
        ({'loss': np.nan}, [1.0, 3.0], "['loss']"),
        ({'loss': 1.0, 'skipped': 1.0}, [1.0, 2.0], 'skipped'),
    ],
)
def test_a_fault_is_found(values, after, fault):
    found = one_step._fault(values, [np.array(1.0), np.array(2.0)], list(map(np.array, after)))
    assert fault in found and bool(found) == bool(fault)


def test_a_line_counts_files_models_and_what_was_kept():
    rows = [
        one_step.Row(['a/x', 'a/y'], tensors=10, kept={'w*': 2}),
        one_step.Row(['a/z'], 'failed', (96, 96), dtype='float16', tensors=5),
        one_step.Row(['b/z'], resized=True, tensors=5),
    ]
    lines = one_step.page(rows, ['a/x', 'a/y', 'a/z', 'b/z', 'c/z']).splitlines()
    assert '| a | 3 | 2 | 1 | 64, 96 | 1 | 15 | 2 |' in lines
    assert '| b | 1 | 1 | 1 | 64* | 0 | 5 | 0 |' in lines
    assert '1 of the 5 files are still to be done.' in one_step.page(rows, ['a/x'] * 4 + ['c/z'])
    assert '| **all** | 4 | 3 | 2 | 64, 64*, 96 | 1 | 20 | 2 |' in lines


def test_rows_are_read_as_they_were_written(tmp_path):
    row = replace(one_step.Row(['a/x']), kept={'w*': 2}, loss=1.5)
    (tmp_path / 'rows').write_text(json.dumps(asdict(row)) + '\n')
    assert one_step.read_rows(tmp_path / 'rows') == [row]
    assert one_step.read_rows(tmp_path / 'missing') == []
