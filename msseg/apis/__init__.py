"""What the command lines and users' scripts call: the only layer that knows all the others."""

from msseg.apis.build import build_model, build_split, check_classes
from msseg.apis.config_schema import load_config
from msseg.apis.convert import convert_checkpoint
from msseg.apis.evaluate import evaluate
from msseg.apis.inference import (
    inference_model,
    inference_segmentor,
    init_model,
    init_segmentor,
    show_result_pyplot,
)
from msseg.apis.test import test_from_config, test_segmentor
from msseg.apis.train import train_from_config, train_segmentor
from msseg.inference.inferencer import Inferencer

Segmenter = Inferencer  # the name of version 0.1, until the next version

__all__ = [
    'Inferencer',
    'Segmenter',
    'build_model',
    'build_split',
    'check_classes',
    'convert_checkpoint',
    'evaluate',
    'inference_model',
    'inference_segmentor',
    'init_model',
    'init_segmentor',
    'load_config',
    'show_result_pyplot',
    'test_from_config',
    'test_segmentor',
    'train_from_config',
    'train_segmentor',
]


def __dir__() -> list[str]:
    """Name what is for users, without the modules that it comes from."""
    return __all__
