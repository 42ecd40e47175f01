"""The optimizers' oracle: their definitions line by line, in plain NumPy."""

import numpy as np


def full_gradient(p, g, l1=0.0, l2=0.0, scale=1.0, limit=np.inf):
    return np.clip(scale * g + l1 * np.sign(p) + 2 * l2 * p, -limit, limit)


def steps(rule, parameter, gradients, learning_rate, state, weight_decay=0.0, **options):
    """Return the parameter after each step of ``rule(g, t, state) -> change, state``."""
    p = parameter.copy()
    result = []
    for t, gradient in enumerate(gradients, start=1):
        change, state = rule(full_gradient(p, gradient, **options), t, state)
        p = p - learning_rate * weight_decay * p - change
        result.append(p)
    return np.array(result)


def sgd(learning_rate):
    return lambda g, t, state: (learning_rate * g, state)


def momentum(learning_rate, kept, nesterov):
    def rule(g, t, state):
        velocity = kept * state[0] - learning_rate * g
        change = kept * velocity - learning_rate * g if nesterov else velocity
        return -change, (velocity, None)

    return rule


def adagrad(learning_rate, epsilon, outside):
    def rule(g, t, state):
        total = state[0] + g**2
        root = np.sqrt(total) + epsilon if outside else np.sqrt(total + epsilon)
        return learning_rate * g / root, (total, None)

    return rule


def rmsprop(learning_rate, rho, kept, epsilon, outside):
    def rule(g, t, state):
        square = rho * state[0] + (1 - rho) * g**2
        root = np.sqrt(square) + epsilon if outside else np.sqrt(square + epsilon)
        velocity = kept * state[1] + learning_rate * g / root
        return velocity, (square, velocity)

    return rule


def adam(learning_rate, beta_1, beta_2, epsilon, hat):
    def rule(g, t, state):
        m = beta_1 * state[0] + (1 - beta_1) * g
        v = beta_2 * state[1] + (1 - beta_2) * g**2
        if hat:
            rate = learning_rate * np.sqrt(1 - beta_2**t) / (1 - beta_1**t)
            return rate * m / (np.sqrt(v) + epsilon), (m, v)
        m_hat, v_hat = m / (1 - beta_1**t), v / (1 - beta_2**t)
        return learning_rate * m_hat / (np.sqrt(v_hat) + epsilon), (m, v)

    return rule
