import argparse

import mindspore as ms

from benchmarks import losses
from tests.test_models.model_configs import tiny_ocrnet


def test_compares_three_losses_with_a_train_step(monkeypatch, capsys):
    seen = []

    def step(images, labels):
        seen.append((images.shape, labels.shape, labels.asnumpy().max()))
        return [ms.Tensor(0.0)]

    monkeypatch.setattr(losses, '_build_step', lambda config: step)
    parser = argparse.ArgumentParser()
    losses.add_arguments(parser)
    arguments = '--height 64 --width 64 --images 1 --rounds 2'
    times = losses.run(parser.parse_args(arguments.split()))
    assert list(times) == ['FocalLoss', 'LovaszLoss', 'RMILoss']
    assert all(len(each.candidate_s) == len(each.base_s) == 2 for each in times.values())
    assert seen == [((1, 3, 64, 64), (1, 64, 64), 255)] * 9
    lines = capsys.readouterr().out.splitlines()
    limits = {'FocalLoss': '0.3', 'LovaszLoss': '0.5', 'RMILoss': '0.5'}
    for line, (name, limit) in zip(lines, limits.items(), strict=True):
        assert line.startswith(f'{name}, 1 crops of 64x64: ') and f'the limit of {limit} ' in line


def test_the_train_step_is_that_of_the_config(tmp_path):
    config = tmp_path / 'tiny.py'
    config.write_text(f'model = {tiny_ocrnet()!r}\noptimizer = dict(type="SGD", lr=0.01)\n')
    step = losses._build_step(str(config))
    assert step.value_names[:4] == [
        'decode_0.loss_ce',
        'decode_0.acc_seg',
        'decode_1.loss_ce',
        'decode_1.acc_seg',
    ]
    assert any(p.name.startswith('backbone.stage4.') for p in step.optimizer.parameters)
