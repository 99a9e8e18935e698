"""From a config to the training step: optimizer, clipping, accumulation, loss scale, devices."""

from __future__ import annotations

from mindspore import nn

from msseg.apis.build import loader_options
from msseg.apis.precision import loss_scale_of
from msseg.config import Config, required
from msseg.models import SegmentorWithLoss
from msseg.registry import call_with_cfg
from msseg.runner import GradClip, TrainStep, build_optimizer
from msseg.runner.gradients import GradReducer
from msseg.runner.loss_scaler import build_loss_scaler
from msseg.utils.arguments import PositiveInt, check_value
from msseg.utils.dist import get_world_size
from msseg.utils.logging import get_logger


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
    optimizer = build_optimizer(model, scale_lr(cfg))
    return TrainStep(
        SegmentorWithLoss(model),
        optimizer,
        call_with_cfg(GradClip, clip, 'optimizer_config.grad_clip') if clip else None,
        build_loss_scaler(scale) if scale is not None else None,
        options.get('cumulative_iters', 1),
        GradReducer(optimizer.parameters) if get_world_size() > 1 else None,
        skip_nonfinite=skip_nonfinite,
    )


def scale_lr(cfg: Config) -> dict:
    """Return the optimizer's config, its learning rate scaled if ``auto_scale_lr`` asks for it.

    The rate is multiplied by the batch of all devices over ``base_batch_size``. Batches whose
    gradients are accumulated count once.

    Raises:
        ValueError: ``base_batch_size`` is missing or no positive number.

    Source: MMDetection 2.x with MMCV 1.7, ``auto_scale_lr`` in ``tools/train.py``.
    """
    optimizer = required(cfg, 'optimizer').copy()
    options = cfg.get('auto_scale_lr') or {}
    if not options.get('enable', False) or 'lr' not in optimizer:
        return optimizer
    base = options.get('base_batch_size')
    if base is None:
        raise ValueError(
            f'auto_scale_lr: base_batch_size is {base!r}, expected the batch size that '
            f'optimizer.lr={optimizer["lr"]!r} is meant for, as in '
            'auto_scale_lr=dict(enable=True, base_batch_size=16)'
        )
    check_value(base, PositiveInt, 'base_batch_size', 'auto_scale_lr')
    batch = loader_options(cfg, 'train')['samples_per_gpu'] * get_world_size()
    before, optimizer['lr'] = optimizer['lr'], optimizer['lr'] * batch / base
    get_logger().info(
        'learning rate %g, which is %g * %d / %d: the batch of all devices is %d, auto_scale_lr '
        'names %d', optimizer['lr'], before, batch, base, batch, base,
    )  # fmt: skip
    return optimizer
