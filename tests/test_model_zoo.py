"""docs/model_zoo.md is what docs/model_zoo.py writes, and its figures are those of today's code."""

import gzip
import json
import re
from pathlib import Path

import pytest

from docs import model_zoo

ROOT = Path(__file__).parents[1]
MODELS = model_zoo.read_published()
COUNTS = model_zoo.read_counts()


def test_the_page_is_up_to_date():
    written = model_zoo.PAGE.read_text(encoding='utf-8')
    assert written == model_zoo.page(MODELS, COUNTS), 'run python docs/model_zoo.py --own'


def test_the_figures_of_own_configs_are_up_to_date_and_complete():
    known = model_zoo.read_own_figures()
    assert known == model_zoo.own_figures(MODELS, COUNTS, known), (
        'run python docs/model_zoo.py --own'
    )
    assert [name for name, values in known.items() if 'parameters' not in values] == []
    assert known['ocrnet_hr18s_512x1024_40k_cityscapes'] == {
        'parameters': 6378496,
        'mIoU': 74.3,
        'data': 'Cityscapes',
        'source': 'published by MMSegmentation',
    }
    assert known['ocrnet_nuclei']['source'] == 'measured with msseg'


def test_the_metafiles_are_read():
    assert len(MODELS) == 602
    models = {model.config: model for model in MODELS}
    assert models['stdc/stdc1_512x1024_80k_cityscapes'] == model_zoo.Published(
        'stdc/stdc1_512x1024_80k_cityscapes', 'Cityscapes', (512, 1024), '71.82', '73.89'
    )
    retina = models['unet/fcn_unet_s5-d16_64x64_40k_drive']
    assert (retina.size, retina.score, retina.multi_scale) == ((64, 64), '78.67 (Dice)', '-')


def test_a_row_shows_what_was_counted_and_links_to_a_config_of_the_same_name():
    model = model_zoo.Published('cgnet/cgnet_680x680_60k_cityscapes', 'C', (680, 680), '1.00', '-')
    name = '[cgnet_680x680_60k_cityscapes](../configs/cgnet/cgnet_680x680_60k_cityscapes.py)'
    count = model_zoo.Count(1_230_000, 4_560_000_000, 7_890_000)
    for counted, cells in (
        (None, '- | - | -'),
        (model_zoo.Count(1_230_000), '1.23 | - | -'),
        (count, '1.23 | 4.6 | 7.9'),
    ):
        page = model_zoo.page([model], {model.config: counted} if counted else {})
        assert f'| {name} | C | 680x680 | 1.00 | - | {cells} |\n' in page


def test_counts_belong_to_published_configs():
    assert set(COUNTS) <= {model.config for model in MODELS}
    assert len(COUNTS) > 40


@pytest.mark.parametrize(
    'config',
    [
        'fastscnn/fast_scnn_lr0.12_8x4_160k_cityscapes',
        'mobilenet_v3/lraspp_m-v3s-d8_512x1024_320k_cityscapes',
        'upernet/upernet_r50_512x512_160k_ade20k',
    ],
)
def test_parameters_are_those_of_the_networks_today(config):
    assert model_zoo.count_parameters(model_zoo.predicting_model(config)) == (
        COUNTS[config].parameters
    )


def test_multiplications_are_those_of_a_network_today():
    config = 'fastscnn/fast_scnn_lr0.12_8x4_160k_cityscapes'
    macs = model_zoo.count_macs(model_zoo.predicting_model(config), (512, 1024))
    # how a layer is written may add or save products of its small matrices
    assert macs == pytest.approx(COUNTS[config].macs, rel=1e-3)


def test_parameters_and_multiplications_are_those_that_pytorch_counts():
    stored = json.loads(gzip.decompress((ROOT / 'tests/data/torch_counts.json.gz').read_bytes()))
    off = {
        config: (counted, stored[config])
        for config, counted in COUNTS.items()
        if counted.parameters != stored[config][0]
        or (counted.macs and abs(counted.macs / stored[config][1] - 1) > 0.01)
    }
    assert off == {}


def test_exported_files_have_about_four_bytes_a_parameter():
    sizes = {key: count for key, count in COUNTS.items() if count.onnx_bytes}
    ratios = {key: count.onnx_bytes / count.parameters for key, count in sizes.items()}
    assert ratios
    assert {key: ratio for key, ratio in ratios.items() if not 3.9 < ratio < 5} == {}


def test_networks_are_counted_once_and_what_does_not_build_is_reported(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(model_zoo, 'COUNTS', tmp_path / 'counts.json')
    model_zoo.write_counts({})
    names = ['fast_scnn_lr0.12_8x4_160k_cityscapes', 'missing_40k']
    models = [model_zoo.Published(f'fastscnn/{name}', '', (64, 64), '', '') for name in names]
    settings = model_zoo.predicting_model(models[0].config)
    networks = {models[0].config: settings, models[1].config: {'type': 'Nothing'}}
    monkeypatch.setattr(model_zoo, 'predicting_model', networks.__getitem__)
    model_zoo.add_counts(models, ['fastscnn/*'], with_macs=False)
    parameters = COUNTS[models[0].config].parameters
    assert model_zoo.read_counts() == {models[0].config: model_zoo.Count(parameters)}
    said = capsys.readouterr().out
    assert 'fastscnn/missing_40k: ' in said and 'Nothing' in said
    monkeypatch.setattr(model_zoo, 'count_parameters', None)  # would fail if called again
    model_zoo.add_counts(models[:1], ['*'], with_macs=False)


def test_measured_scores_stand_in_the_results():
    results = (ROOT / 'docs' / 'results.md').read_text(encoding='utf-8')
    for config, _, score in model_zoo.MEASURED:
        assert (ROOT / f'configs/{config}.py').exists()
        assert f'{score:.2f}' in results or f'{score / 100:.3f}' in results, config


OWN = [model for model in MODELS if (ROOT / f'configs/{model.config}.py').exists()]


@pytest.mark.parametrize('model', OWN, ids=[model.config for model in OWN])
def test_docstrings_of_configs_state_the_published_scores(model):
    text = (ROOT / f'configs/{model.config}.py').read_text(encoding='utf-8')
    stated = re.search(r'^Expected: (?:mIoU|Dice of the vessels) ([\d.]+)', text, re.MULTILINE)
    assert stated and stated[1] == model.score.partition(' ')[0]
    if model.multi_scale != '-':
        assert f'{model.multi_scale} with six scales and flip' in ' '.join(text.split())
