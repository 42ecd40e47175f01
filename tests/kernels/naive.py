"""The kernels' oracle: the same mathematics in plain NumPy, float64, written for reading."""

import numpy as np
import scipy.special


def dense_forward(x, kernel, bias):
    return x @ kernel + bias


def dense_backward(x, kernel, grad_out):
    return grad_out @ kernel.T, x.T @ grad_out, grad_out.sum(axis=0)


def linear(z):
    return z


def relu(z):
    return np.where(z <= 0, 0.0, z)


def leaky_relu(z, alpha=0.01):
    return np.where(z <= 0, alpha * z, z)


def elu(z, alpha=1.0):
    return np.where(z <= 0, alpha * np.expm1(np.minimum(z, 0)), z)


def selu(z):
    return 1.0507009873554805 * elu(z, 1.6732632423543772)


def gelu(z):
    return z * scipy.special.ndtr(z)


def gelu_tanh(z):
    return z * sigmoid(2 * np.sqrt(2 / np.pi) * (z + 0.044715 * z**3))


def silu(z):
    return z * sigmoid(z)


def softplus(z):
    return np.logaddexp(0.0, z)


def mish(z):
    return z * np.tanh(softplus(z))


def tanh(z):
    return np.tanh(z)


def sigmoid(z):
    return np.exp(-np.logaddexp(0.0, -z))


def softmax(z):
    e = np.exp(z - z.max(axis=1, keepdims=True, initial=-np.inf))
    return e / e.sum(axis=1, keepdims=True)


def log_softmax(z):
    z = z - z.max(axis=1, keepdims=True, initial=-np.inf)
    return z - np.logaddexp.reduce(z, axis=1, keepdims=True)


def adam_steps(parameter, gradients, learning_rate, beta_1, beta_2, epsilon):
    """Algorithm 1 of arXiv:1412.6980, line by line."""
    m = v = np.zeros_like(parameter)
    for t, g in enumerate(gradients, start=1):
        m = beta_1 * m + (1 - beta_1) * g
        v = beta_2 * v + (1 - beta_2) * g**2
        m_hat = m / (1 - beta_1**t)
        v_hat = v / (1 - beta_2**t)
        parameter = parameter - learning_rate * m_hat / (np.sqrt(v_hat) + epsilon)
    return parameter


def gradient(function, at, step=1e-6):
    """Central differences of a scalar function of one array, float64."""
    result = np.empty_like(at)
    for index in np.ndindex(at.shape):
        shifted = at.copy()
        shifted[index] = at[index] + step
        above = function(shifted)
        shifted[index] = at[index] - step
        result[index] = (above - function(shifted)) / (2 * step)
    return result
