from argparse import ArgumentParser

from benchmarks import pipeline


def test_pipeline_is_compared_with_decoding(capsys):
    parser = ArgumentParser()
    pipeline.add_arguments(parser)
    times = pipeline.run(parser.parse_args(['--rounds', '3']))

    assert len(times.base_s) == 3 and times.ratio > 1
    assert 'training pipeline: ' in capsys.readouterr().out
