"""The training loop, its step, optimizers, schedules, hooks and checkpoints."""

from msseg.runner.builder import HOOKS, OPTIMIZER_CONSTRUCTORS, OPTIMIZERS, RUNNERS
from msseg.runner.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from msseg.runner.gradients import GradClip
from msseg.runner.hooks import Hook
from msseg.runner.layer_decay import (
    LayerDecayOptimizerConstructor,
    LearningRateDecayOptimizerConstructor,
)
from msseg.runner.load_weights import load_weights
from msseg.runner.optimizer import SGD, Adam, AdamW, build_optimizer
from msseg.runner.runner import EpochBasedRunner, IterBasedRunner, Runner
from msseg.runner.train_step import TrainStep

__all__ = [
    'HOOKS',
    'OPTIMIZERS',
    'OPTIMIZER_CONSTRUCTORS',
    'RUNNERS',
    'SGD',
    'Adam',
    'AdamW',
    'Checkpoint',
    'EpochBasedRunner',
    'GradClip',
    'Hook',
    'IterBasedRunner',
    'LayerDecayOptimizerConstructor',
    'LearningRateDecayOptimizerConstructor',
    'Runner',
    'TrainStep',
    'build_optimizer',
    'load_checkpoint',
    'load_weights',
    'save_checkpoint',
]
