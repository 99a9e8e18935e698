import argparse

from msseg.apis.benchmark import inference
from tests.test_models.model_configs import tiny_ocrnet


def test_compares_the_rest_with_the_network(tmp_path, capsys):
    config = tmp_path / 'tiny.py'
    config.write_text(f'model = {tiny_ocrnet()!r}\n')
    parser = argparse.ArgumentParser()
    inference.add_arguments(parser)
    arguments = f'--config {config} --height 64 --width 96 --rounds 2'
    times = inference.run(parser.parse_args(arguments.split()))
    assert len(times.candidate_s) == len(times.base_s) == 2
    assert 'logits to labels at 64x96: ' in capsys.readouterr().out
