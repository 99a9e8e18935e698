"""One training step: the only place that differentiates."""

import mindspore as ms
from mindspore import Parameter, Tensor, nn

from msseg.runner.grad_clip import GradClip


class TrainStep(nn.Cell):
    """Forward, gradients, clip, update.

    A cell that owns network and optimizer, not a closure: with the compile cache on, a jitted
    closure of MindSpore 2.8 trains parameters that belong to nothing.

    Args:
        network: A cell (img, gt) -> (loss, values), such as SegmentorWithLoss.
        optimizer: The optimizer of its parameters.
        grad_clip: None, or the clipping, whose gradient norm is reported too.
    """

    def __init__(
        self, network: nn.Cell, optimizer: nn.Cell, grad_clip: GradClip | None = None
    ) -> None:
        super().__init__(auto_prefix=False)
        self.network = network
        self.optimizer = optimizer
        self.grad_clip = grad_clip
        self.has_clip = grad_clip is not None
        self.value_names = [*network.value_names, 'loss']
        if self.has_clip:
            self.value_names = [*self.value_names, 'grad_norm']
        self.value_and_grad = ms.value_and_grad(
            network, None, weights=optimizer.parameters, has_aux=True
        )
        self.set_train()

    def construct(self, img: Tensor, gt: Tensor) -> tuple:
        """Update the parameters with one batch.

        Args:
            img: float32 (n, 3, h, w).
            gt: int32 (n, h, w).

        Returns:
            Scalars named by ``value_names``: the network's values, the loss and, with clipping,
            the gradient norm before it.
        """
        (loss, values), grads = self.value_and_grad(img, gt)
        logged = values + (loss,)
        if self.has_clip:
            grads, norm = self.grad_clip(grads)
            logged = logged + (norm,)
        self.optimizer(grads)
        return logged

    def state_parameters(self) -> list[Parameter]:
        """Return what the step itself keeps from one iteration to the next."""
        return []
