"""Gradient norm and clipping."""

import math

from mindspore import Tensor, nn, ops


class GradNorm(nn.Cell):
    """The joint norm of all gradients.

    Args:
        norm_type: p of the p-norm, or ``inf``.
    """

    def __init__(self, norm_type: float = 2.0) -> None:
        super().__init__(auto_prefix=False)
        self.norm_type = norm_type
        self.is_euclidean = norm_type == 2.0
        self.is_infinity_norm = math.isinf(norm_type)
        self.half_square = ops.L2Loss()

    def construct(self, grads: tuple) -> Tensor:
        """Return the norm, a float32 scalar; NaN or infinite when a gradient is."""
        parts = ()
        for grad in grads:
            grad = grad.astype('float32')
            if self.is_euclidean:
                parts = parts + (2.0 * self.half_square(grad),)
            elif self.is_infinity_norm:
                parts = parts + (ops.abs(grad).max(),)
            else:
                parts = parts + (ops.pow(ops.abs(grad), self.norm_type).sum(),)
        together = ops.stack(parts)
        if self.is_infinity_norm:
            return together.max()
        return ops.pow(together.sum(), 1.0 / self.norm_type)


class GradClip(nn.Cell):
    """Scale all gradients so that their joint norm is at most `max_norm`.

    Args:
        max_norm: Largest norm let through.
        norm_type: p of the p-norm, or ``inf``.

    Raises:
        ValueError: `max_norm` or `norm_type` is not positive.

    Source: PyTorch ``clip_grad_norm_``: the factor is max_norm / (norm + 1e-6), at most 1.
    """

    def __init__(self, max_norm: float, norm_type: float = 2.0) -> None:
        super().__init__(auto_prefix=False)
        norm_type = float(norm_type)
        for name, value in (('max_norm', max_norm), ('norm_type', norm_type)):
            if not value > 0:
                raise ValueError(
                    f'optimizer_config.grad_clip.{name} is {value!r}, expected a positive number'
                )
        self.max_norm = float(max_norm)
        self.norm = GradNorm(norm_type)

    def construct(self, grads: tuple, norm: Tensor) -> tuple:
        """Return the clipped gradients; `norm` is what ``self.norm`` says of them."""
        factor = ops.minimum(self.max_norm / (norm + 1e-6), Tensor(1.0))
        clipped = ()
        for grad in grads:
            clipped = clipped + (grad * factor.astype(grad.dtype),)
        return clipped
