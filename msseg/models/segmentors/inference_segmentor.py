"""A segmentor as one cell from image to logits, probabilities or labels of the same size."""

from __future__ import annotations

import mindspore as ms
from mindspore import nn

from msseg.models.layers import resize
from msseg.models.output_spec import to_labels, to_probabilities
from msseg.utils.suggest import did_you_mean

_OUTPUTS = ('logits', 'probabilities', 'labels')


class InferenceSegmentor(nn.Cell):
    """Gives an image's logits, probabilities or labels at the image's size.

    One compiled graph serves images of all sizes.

    Args:
        segmentor: A segmentor with ``predict`` and ``output_spec``.
        output: ``'logits'``, ``'probabilities'`` or ``'labels'``.
        dynamic: Whether one graph is to serve all sizes; False compiles one per size, each
            somewhat faster.

    Raises:
        ValueError: An unknown `output`.
    """

    def __init__(self, segmentor: nn.Cell, output: str = 'logits', dynamic: bool = True) -> None:
        super().__init__(auto_prefix=False)
        if output not in _OUTPUTS:
            raise ValueError(
                f'InferenceSegmentor: output is {output!r}, expected one of {list(_OUTPUTS)}.'
                f'{did_you_mean(str(output), _OUTPUTS)}'
            )
        self.segmentor = segmentor
        self.output = output
        spec = segmentor.output_spec
        self.align_corners = spec.align_corners
        self.out_channels, self.threshold, self.kind = spec.out_channels, spec.threshold, spec.kind
        self.set_train(False)
        if dynamic:
            shape = [None, spec.in_channels, None, None]
            self.set_inputs(ms.Tensor(shape=shape, dtype=ms.float32))

    def construct(self, img: ms.Tensor) -> ms.Tensor:
        """Run on (n, c, h, w).

        Returns:
            float32 (n, out_channels, h, w), or for labels int32 (n, h, w).
        """
        return self.finish(self.segmentor.predict(img), img.shape[2:])

    def finish(self, logits: ms.Tensor, size: tuple[int, int]) -> ms.Tensor:
        """Turn the network's logits into the output at another size.

        Args:
            logits: (n, out_channels, h', w').
            size: The output's (h, w).
        """
        logits = resize(logits.astype(ms.float32), size, self.align_corners)
        if self.output == 'logits':
            return logits
        if self.output == 'probabilities':
            return to_probabilities(logits, self.out_channels, self.kind)
        return to_labels(logits, self.out_channels, self.threshold, self.kind)
