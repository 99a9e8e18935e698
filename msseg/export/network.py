"""The cells that exporting puts around a network."""

import mindspore as ms
import numpy as np
from mindspore import nn, ops

from msseg.deploy.metadata import Preprocessing
from msseg.models import InferenceSegmentor
from msseg.models.backbones.hr_module import HRModule


class ExportedNetwork(nn.Cell):
    """A segmentor from a file's input to its output.

    Args:
        segmentor: With its batch norms folded.
        meaning: ``logits`` or ``labels``.
        preprocessing: Whether to normalise, and how.
    """

    def __init__(self, segmentor: nn.Cell, meaning: str, preprocessing: Preprocessing) -> None:
        super().__init__(auto_prefix=False)
        self.network = InferenceSegmentor(segmentor, meaning, dynamic=False)
        self.normalises = preprocessing.included
        order = [2, 1, 0] if preprocessing.to_rgb else list(range(len(preprocessing.mean)))
        self.order = ms.Tensor(order, ms.int32)
        self.mean = ms.Tensor(np.reshape(preprocessing.mean, (-1, 1, 1)), ms.float32)
        self.factor = ms.Tensor(1 / np.reshape(preprocessing.std, (-1, 1, 1)), ms.float32)
        self.set_train(False)

    def construct(self, image: ms.Tensor) -> ms.Tensor:
        """Run on float32 (n, c, h, w), or when it normalises on uint8 (n, h, w, c) in BGR order."""
        if self.normalises:
            image = image.astype(ms.float32).transpose(0, 3, 1, 2)
            image = (ops.gather(image, self.order, 1) - self.mean) * self.factor
        return self.network(image)


def take_any_size(segmentor: nn.Cell) -> None:
    """Let a segmentor compute the same operations for images of all sizes."""
    for _, cell in segmentor.cells_and_names():
        if isinstance(cell, HRModule):
            cell.always_resizes = True
