from argparse import ArgumentParser
from pathlib import Path

from benchmarks import step
from tests.tiny import ON_RESNET, write_config, write_discs

ROOT = Path(__file__).parents[2]


def test_runner_and_bare_loop_take_turns(tmp_path, capsys):
    config = write_config(tmp_path, write_discs(tmp_path / 'data'), ON_RESNET)
    parser = ArgumentParser()
    step.add_arguments(parser)
    args = parser.parse_args(['--config', str(config), '--rounds', '2', '--steps', '3'])
    times = step.run(args)
    assert len(times.candidate_s) == len(times.base_s) == 2
    assert '3 steps of Runner' in capsys.readouterr().out


def test_default_config_exists():
    parser = ArgumentParser()
    step.add_arguments(parser)
    assert (ROOT / parser.get_default('config')).is_file()
