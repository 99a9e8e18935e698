"""A segmentor as one cell from image to every head's logits at the image's size."""

from __future__ import annotations

import mindspore as ms
from mindspore import nn

from msseg.models.layers import resize


class HeadLogits(nn.Cell):
    """Gives the logits of all heads at the image's size; one graph serves images of all sizes.

    Args:
        segmentor: A segmentor with ``heads`` and ``output_spec``.

    Attributes:
        predicting: Which of the heads gives the prediction: the last decode head.
    """

    def __init__(self, segmentor: nn.Cell) -> None:
        super().__init__(auto_prefix=False)
        self.segmentor = segmentor
        self.align_corners = [head.align_corners for _, head in segmentor.heads]
        prefixes = [prefix for prefix, _ in segmentor.heads]
        self.predicting = max(i for i, name in enumerate(prefixes) if name.startswith('decode'))
        self.set_train(False)
        shape = [None, segmentor.output_spec.in_channels, None, None]
        self.set_inputs(ms.Tensor(shape=shape, dtype=ms.float32))

    def construct(self, img: ms.Tensor) -> tuple[ms.Tensor, ...]:
        """Run on (n, c, h, w); give one float32 (n, out_channels, h, w) for each head."""
        logits = self.segmentor(img)
        resized = ()
        for i in range(len(self.align_corners)):
            own = logits[i].astype(ms.float32)
            resized = resized + (resize(own, img.shape[2:], self.align_corners[i]),)
        return resized
