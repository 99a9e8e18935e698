"""Names and addresses stand wherever a checkpoint does, and training adapts what it fetched."""

import argparse
import hashlib
import os
from pathlib import Path

import numpy as np
import pytest

import msseg
from msseg.apis import convert_checkpoint
from msseg.apis.model_source import (
    check_weights,
    find_checkpoint,
    find_model,
    find_weights,
    load_initial_weights,
)
from msseg.apis.train_settings import StartSettings
from msseg.commands import train
from msseg.commands.model_arguments import add_model_arguments, parse_model_arguments
from msseg.config import Config
from msseg.models import build_segmentor
from msseg.runner.checkpoint import load_checkpoint, save_checkpoint
from tests.https_server import File
from tests.test_models.model_configs import tiny_ocrnet
from tests.test_runner.line_model import Line

HRNET = (Path(__file__).parents[1] / 'data' / 'parity' / 'imagenet-hrnet-tiny.pth').read_bytes()
MODEL = "model = dict(type='EncoderDecoder', backbone=dict(type='HRNet', extra={}))\n"


@pytest.fixture
def address(server):
    """Of a checkpoint that holds its config."""
    path = Path(os.environ['MSSEG_HOME']).parent / 'a.ckpt'
    save_checkpoint(path, Line(), meta={'config': MODEL, 'iter': 4})
    content = path.read_bytes()
    name = f'/net-{hashlib.sha256(content).hexdigest()[:8]}.ckpt'
    server.files[name] = File(content)
    return server.address + name


def test_commands_and_python_take_the_address_of_a_checkpoint(server, address, monkeypatch):
    calls = (
        lambda: find_model(address),
        lambda: find_model(None, address),
        lambda: find_checkpoint(Config(), address),
        lambda: find_weights(address, 'load_from'),
        lambda: convert_checkpoint(address, 'b.ckpt'),
        lambda: msseg.load(address),
    )
    for call in calls:
        with pytest.raises(FileNotFoundError, match=f'get it from {address} and put it to'):
            call()
    assert server.asked == []
    monkeypatch.setenv('MSSEG_DOWNLOAD', '1')
    cfg, path = find_model(address)
    assert cfg.model.backbone.type == 'HRNet'
    assert find_checkpoint(Config(), address) == find_weights(address, 'load_from') == path
    assert len(server.asked) == 1


def test_only_settings_that_training_does_without_advise_to_drop_them(server, address):
    with pytest.raises(
        FileNotFoundError, match='or train from scratch deliberately with load_from'
    ):
        find_weights(address, 'load_from')
    with pytest.raises(FileNotFoundError, match=r'MSSEG_DOWNLOAD=1$'):
        find_checkpoint(Config(), address)


def test_checks_of_configs_fetch_nothing(server, address, monkeypatch):
    with pytest.raises(FileNotFoundError, match='get it from'):
        check_weights(address, 'load_from')
    monkeypatch.setenv('MSSEG_DOWNLOAD', '1')
    check_weights(address, 'load_from')  # training would fetch it
    with pytest.raises(ValueError, match='Did you mean'):
        check_weights('open-mmlab://resnet50v1c', 'load_from')
    assert server.asked == []


@pytest.mark.parametrize(
    ('line', 'expected'), [('https://a/b.pth', None), ('my.py mmseg://x', 'my.py')]
)
def test_addresses_are_checkpoints_on_command_lines(line, expected):
    parser = argparse.ArgumentParser()
    add_model_arguments(parser)
    args = parse_model_arguments(parser, line.split())
    assert (args.config, args.checkpoint) == (expected, line.split()[-1])


def test_the_option_lets_the_command_fetch(monkeypatch):
    monkeypatch.setenv('MSSEG_DOWNLOAD', '0')
    parser = argparse.ArgumentParser()
    add_model_arguments(parser)
    parse_model_arguments(parser, ['a.ckpt'])
    assert os.environ['MSSEG_DOWNLOAD'] == '0'
    parse_model_arguments(parser, ['a.ckpt', '--download'])
    assert os.environ['MSSEG_DOWNLOAD'] == '1'
    monkeypatch.setenv('MSSEG_DOWNLOAD', '0')
    with pytest.raises(FileNotFoundError, match='no_such'):
        train.main(['no_such.py', '--download'])
    assert os.environ['MSSEG_DOWNLOAD'] == '1'


@pytest.mark.parametrize('by_init_cfg', [False, True])
def test_a_pretrained_backbone_is_fetched_and_adapted_to_the_images(
    server, monkeypatch, by_init_cfg
):
    name = f'/hrnet-{hashlib.sha256(HRNET).hexdigest()[:8]}.pth'
    server.files[name] = File(HRNET, cuts=[1000])
    monkeypatch.setenv('MSSEG_DOWNLOAD', '1')
    settings = tiny_ocrnet()
    settings['backbone'] = dict(settings['backbone'], in_channels=4)
    source = server.address + name
    if by_init_cfg:
        settings['backbone']['init_cfg'] = dict(type='Pretrained', checkpoint=source)
    else:
        settings['pretrained'] = source
    model = build_segmentor(settings)
    load_initial_weights(model, StartSettings.of(Config({'model': settings})))
    path = Path(os.environ['MSSEG_HOME']) / name[1:]
    rgb = load_checkpoint(path).weights['conv1.weight']
    expected = np.stack([rgb[:, i] for i in (0, 1, 2, 0)], 1) * 0.75
    np.testing.assert_allclose(model.backbone.conv1.weight.asnumpy(), expected, rtol=1e-6)


def test_conversion_for_a_config_adapts_too(tmp_path):
    settings = tiny_ocrnet()
    settings['backbone'] = dict(settings['backbone'], in_channels=1)
    (tmp_path / 'a.pth').write_bytes(HRNET)
    report, cfg = tmp_path / 'report.txt', Config({'model': settings, 'load_first_conv': 'mean'})
    convert_checkpoint(tmp_path / 'a.pth', tmp_path / 'a.ckpt', cfg=cfg, report=report)
    rgb = load_checkpoint(tmp_path / 'a.pth').weights['conv1.weight']
    grey = load_checkpoint(tmp_path / 'a.ckpt').weights['backbone.conv1.weight']
    np.testing.assert_allclose(grey, rgb.sum(axis=1, keepdims=True), rtol=1e-5, atol=1e-6)
    assert "backbone.conv1.weight: 3 channels to 1 by the rule 'mean'" in report.read_text()


def test_the_rule_is_a_setting():
    assert StartSettings.of(Config()).first_conv == 'repeat'
    assert StartSettings.of(Config({'load_first_conv': 'mean'})).first_conv == 'mean'
    assert StartSettings.of(Config({'load_first_conv': None})).first_conv is None
