import argparse

import pytest

from msseg.apis.benchmark import inference
from tests.test_models.model_configs import tiny_ocrnet


def measure(tmp_path, arguments):
    config = tmp_path / 'tiny.py'
    config.write_text(f'model = {tiny_ocrnet()!r}\n')
    parser = argparse.ArgumentParser()
    inference.add_arguments(parser)
    sizes = f'--config {config} --height 64 --width 96 --rounds 2'
    return inference.run(parser.parse_args(f'{sizes} {arguments}'.split()))


def test_compares_the_rest_with_the_network(tmp_path, capsys):
    (times,) = measure(tmp_path, '--formats')
    assert len(times.candidate_s) == len(times.base_s) == 2
    assert 'logits to labels at 64x96: ' in capsys.readouterr().out


@pytest.mark.parametrize('file_format', ['mindir', 'onnx'])
def test_compares_exported_files_with_the_network(tmp_path, capsys, file_format):
    (times,) = measure(tmp_path, f'--only-exported --formats {file_format}')
    assert len(times.candidate_s) == len(times.base_s) == 2
    lines = capsys.readouterr().out.splitlines()
    assert f'exported {file_format} at 64x96: ' in lines[0]
    assert 'peak memory ' in lines[1]
