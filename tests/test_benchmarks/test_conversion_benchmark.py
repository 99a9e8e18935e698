import argparse

import numpy as np

from benchmarks import conversion
from benchmarks.torch_file import torch_name, write_torch_file
from msseg.convert import read_foreign
from tests.test_models.model_configs import tiny_ocrnet


def test_compares_converting_with_copying_and_writing(tmp_path, capsys):
    config = tmp_path / 'tiny.py'
    config.write_text(f'model = {tiny_ocrnet()!r}\n')
    parser = argparse.ArgumentParser()
    conversion.add_arguments(parser)
    times = conversion.run(parser.parse_args(['--config', str(config), '--rounds', '2']))
    assert len(times.candidate_s) == len(times.base_s) == 2
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith('converting 1 MB: ') and '; copying and writing: ' in line


def test_its_file_is_one_of_pytorchs(tmp_path):
    arrays = {
        'a.bn.gamma': np.arange(6, dtype=np.float32).reshape(2, 3),
        'a.conv.weight': np.ones(2, np.float32),
    }
    write_torch_file(tmp_path / 'a.pth', {torch_name(k): v for k, v in arrays.items()})
    file = read_foreign(tmp_path / 'a.pth')
    assert file.format == 'torch zip' and list(file.tensors) == ['a.bn.weight', 'a.conv.weight']
    np.testing.assert_array_equal(file.tensors['a.bn.weight'], arrays['a.bn.gamma'])
