import argparse

from msseg.apis.benchmark import losses
from tests.test_models.model_configs import tiny_ocrnet


def test_compares_three_losses_with_a_train_step(tmp_path, capsys):
    config = tmp_path / 'tiny.py'
    model = tiny_ocrnet()
    for head in model['decode_head']:
        head['num_classes'] = 19
    config.write_text(f'model = {model!r}\noptimizer = dict(type="SGD", lr=0.01)\n')
    parser = argparse.ArgumentParser()
    losses.add_arguments(parser)
    arguments = f'--config {config} --height 64 --width 64 --images 1 --rounds 1'
    times = losses.run(parser.parse_args(arguments.split()))
    assert list(times) == ['FocalLoss', 'LovaszLoss', 'RMILoss']
    lines = capsys.readouterr().out.splitlines()
    limits = {'FocalLoss': '0.3', 'LovaszLoss': '0.5', 'RMILoss': '0.5'}
    for line, (name, limit) in zip(lines, limits.items(), strict=True):
        assert line.startswith(f'{name}, 1 crops of 64x64: ') and f'the limit of {limit} ' in line
