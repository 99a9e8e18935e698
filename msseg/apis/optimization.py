"""From a config to the training step: optimizer, clipping, accumulation, loss scale."""

from __future__ import annotations

from mindspore import nn

from msseg.apis.build import required
from msseg.apis.precision import loss_scale_of
from msseg.config import Config
from msseg.models import SegmentorWithLoss
from msseg.runner import GradClip, TrainStep, build_optimizer
from msseg.runner.loss_scaler import build_loss_scaler


def build_train_step(model: nn.Cell, cfg: Config, skip_nonfinite: bool = False) -> TrainStep:
    """Build the step that trains a model as a config says.

    Args:
        model: The segmentor, its precision already set.
        cfg: With ``optimizer``, and ``optimizer_config``, ``fp16`` and ``bf16`` where needed.
        skip_nonfinite: See `TrainStep`.
    """
    options = cfg.get('optimizer_config') or {}
    clip = options.get('grad_clip')
    scale = loss_scale_of(cfg)
    return TrainStep(
        SegmentorWithLoss(model),
        build_optimizer(model, required(cfg, 'optimizer')),
        GradClip(**clip) if clip else None,
        build_loss_scaler(scale) if scale is not None else None,
        options.get('cumulative_iters', 1),
        skip_nonfinite=skip_nonfinite,
    )
