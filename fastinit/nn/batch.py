"""The arrays of one batch size, and the passes of a network through them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastinit.kernels.jit import FloatArray
from fastinit.nn.layers import Dense
from fastinit.nn.losses import Loss

__all__ = ["Batch"]


class Batch:
    """All that the passes through a built network write, allocated once for a batch size.

    Parameters
    ----------
    layers : sequence of Dense
        The network's layers.
    rows : int
        Number of examples, at least 0.

    Attributes
    ----------
    x : ndarray, shape (rows, inputs)
        The network's input, to be filled before `forward`.
    z, a : list of ndarray, shape (rows, units)
        Pre-activations and activations of each layer, written by `forward`.
    grad : list of ndarray, shape (rows, units)
        Gradients of the loss in each layer's activations, then in its pre-activations.
    """

    def __init__(self, layers: Sequence[Dense], rows: int) -> None:
        dtype = layers[0].kernel.dtype
        self.layers = layers
        self.x: FloatArray = np.empty((rows, layers[0].kernel.shape[0]), dtype)
        self.z, self.a, self.grad = (
            [np.empty((rows, layer.units), dtype) for layer in layers] for _ in range(3)
        )

    def forward(self) -> None:
        """Compute `z` and `a` of every layer from `x`."""
        x = self.x
        for layer, z, a in zip(self.layers, self.z, self.a, strict=True):
            layer.forward(x, z, a)
            x = a

    def loss(self, loss: Loss, target: NDArray[Any]) -> float:
        """Return the mean loss after `forward`, and write its gradient for `backward`.

        Parameters
        ----------
        loss : Loss
            The loss.
        target : ndarray
            Prepared targets, as many as there are rows.

        Returns
        -------
        float
            The mean over the batch.
        """
        outputs = self.z if loss.logits_of else self.a
        return loss.kernel(outputs[-1], target, self.grad[-1])

    def backward(self, loss: Loss) -> None:
        """Compute the gradients of all parameters after `loss`.

        Parameters
        ----------
        loss : Loss
            The same loss.
        """
        self.backward_from(loss.logits_of is not None)

    def backward_from(self, from_logits: bool) -> None:
        """Compute the gradients of all parameters from what stands in the last of `grad`.

        Parameters
        ----------
        from_logits : bool
            Whether that is the gradient in the last layer's pre-activations, not its activations.
        """
        for i in reversed(range(len(self.layers))):
            x, grad_x = (self.a[i - 1], self.grad[i - 1]) if i else (self.x, None)
            self.layers[i].backward(x, self.a[i], self.grad[i], grad_x, from_logits)
            from_logits = False
