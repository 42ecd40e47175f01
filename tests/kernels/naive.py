"""The kernels' oracle: the same mathematics in plain NumPy, float64, written for reading."""

import numpy as np


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


def tanh(z):
    return np.tanh(z)


def sigmoid(z):
    return np.exp(-np.logaddexp(0.0, -z))


def softmax(z):
    e = np.exp(z - z.max(axis=1, keepdims=True, initial=-np.inf))
    return e / e.sum(axis=1, keepdims=True)


def mean_squared_error(prediction, target):
    return np.mean((prediction - target) ** 2)


def binary_crossentropy(logits, target):
    return np.mean(target * np.logaddexp(0.0, -logits) + (1 - target) * np.logaddexp(0.0, logits))


def categorical_crossentropy(logits, labels):
    normalizer = np.logaddexp.reduce(logits, axis=1)
    return np.mean(normalizer - logits[np.arange(len(labels)), labels])


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
