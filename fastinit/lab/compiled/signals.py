"""One layer of many random networks at once."""

from __future__ import annotations

from fastinit.kernels.dense import dense_forward
from fastinit.kernels.jit import FloatArray, njit

__all__ = ["scaled_layer"]


@njit
def scaled_layer(
    x: FloatArray,
    kernel: FloatArray,
    bias: FloatArray,
    scale: FloatArray,
    bias_scale: FloatArray,
    zeros: FloatArray,
    out: FloatArray,
) -> None:
    """Write ``out[i] = scale[i] * (x[i] @ kernel) + bias_scale[i] * bias``.

    So one draw of a kernel serves networks of all scales, a row each.

    Parameters
    ----------
    x : ndarray, shape (rows, fan_in)
        C-contiguous, as are all; of one dtype, float32 or float64.
    kernel : ndarray, shape (fan_in, fan_out)
    bias : ndarray, shape (fan_out,)
    scale, bias_scale : ndarray, shape (rows,)
    zeros : ndarray, shape (fan_out,)
    out : ndarray, shape (rows, fan_out)
        Overwritten.
    """
    dense_forward(x, kernel, zeros, out)
    for i in range(out.shape[0]):
        factor, shift = scale[i], bias_scale[i]
        for j in range(out.shape[1]):
            out[i, j] = factor * out[i, j] + shift * bias[j]
