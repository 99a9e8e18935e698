import argparse

from benchmarks import inference
from tests.test_tools.bad_input_cases import SMALL


def measure(tmp_path, arguments):
    config = tmp_path / 'small.py'
    config.write_text(SMALL)
    parser = argparse.ArgumentParser()
    inference.add_arguments(parser)
    sizes = f'--config {config} --height 64 --width 96 --rounds 2'
    return inference.run(parser.parse_args(f'{sizes} {arguments}'.split()))


def test_compares_the_rest_with_the_network(tmp_path, capsys):
    (times,) = measure(tmp_path, '--formats')
    assert len(times.candidate_s) == len(times.base_s) == 2
    assert 'logits to labels at 64x96: ' in capsys.readouterr().out


def test_compares_exported_files_with_the_network(tmp_path, capsys):
    found = measure(tmp_path, '--only-exported --formats mindir onnx')
    assert [len(times.candidate_s) for times in found] == [2, 2]
    lines = capsys.readouterr().out.splitlines()
    assert 'exported mindir at 64x96: ' in lines[0]
    assert 'exported onnx at 64x96: ' in lines[2]
    assert all('peak memory ' in line for line in lines[1::2])
