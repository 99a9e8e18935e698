"""What converting PyTorch's checkpoint costs, against copying it and writing MindSpore's."""

from __future__ import annotations

import argparse
import contextlib
import io
import shutil
import tempfile
from pathlib import Path

import numpy as np
from mindspore.nn.utils import no_init_parameters

from benchmarks.measure import Comparison, compare
from benchmarks.torch_file import torch_name, write_torch_file
from msseg.apis.build import build_model
from msseg.apis.convert import convert_checkpoint
from msseg.config import Config
from msseg.runner.checkpoint import save_weights

HELP = 'a .pth file read, converted and written / the file copied and the checkpoint written'
LIMIT = 2.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the subcommand's options."""
    parser.add_argument(
        '--config',
        default='configs/ocrnet/ocrnet_hr48_512x1024_40k_cityscapes.py',
        help='the model whose weights to convert, random ones',
    )
    parser.add_argument('--rounds', type=int, default=7, help='times that both are measured')


def run(args: argparse.Namespace) -> Comparison:
    """Measure, print a line and return the times."""
    weights = _random_weights(args.config)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = folder / 'source.pth'
        write_torch_file(source, {torch_name(key): array for key, array in weights.items()})

        def convert() -> None:
            with contextlib.redirect_stdout(io.StringIO()):
                convert_checkpoint(source, folder / 'converted.ckpt')

        def copy_and_write() -> None:
            shutil.copyfile(source, folder / 'copy.pth')
            save_weights(folder / 'written.ckpt', weights, {})

        times = compare(convert, copy_and_write, args.rounds, warmup=1)
        size = source.stat().st_size / 1e6
    print(times.report(f'converting {size:.0f} MB', 'copying and writing', LIMIT))
    return times


def _random_weights(config: str) -> dict[str, np.ndarray]:
    with no_init_parameters():
        model = build_model(Config.fromfile(config))
    rng = np.random.default_rng(0)
    return {
        parameter.name: rng.standard_normal(parameter.shape, dtype=np.float32)
        for parameter in model.get_parameters()
    }
