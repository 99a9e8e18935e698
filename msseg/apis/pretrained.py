"""Weights that a model names as ``pretrained``: read when training starts, never while building."""

from __future__ import annotations

from pathlib import Path

from mindspore import nn

from msseg.runner.checkpoint import Checkpoint, load_checkpoint, load_weights


def load_pretrained(model: nn.Cell) -> None:
    """Load the weights that ``model.pretrained`` or ``backbone.pretrained`` name, if any.

    Raises:
        FileNotFoundError: It is no MindSpore checkpoint on this machine.
        ValueError: It does not fit the backbone.
    """
    source = model.pretrained or model.backbone.pretrained
    if source is None:
        return
    if not (str(source).endswith('.ckpt') and Path(source).is_file()):
        raise FileNotFoundError(
            f'model.pretrained is {source!r}, which is not a .ckpt file on this machine: give the '
            'path of one, or train from scratch deliberately with model.pretrained=None'
        )
    checkpoint = load_checkpoint(source)
    names = {parameter.name for parameter in model.get_parameters()}
    if not names & set(checkpoint.weights):
        # A backbone's own checkpoint has its names without the segmentor's prefix.
        weights = {f'backbone.{name}': value for name, value in checkpoint.weights.items()}
        checkpoint = Checkpoint(checkpoint.path, weights)
    load_weights(model, checkpoint, strict=False)
