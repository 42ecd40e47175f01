"""Transfer learning: what a network learnt from the digits 0 to 4 helps it to tell 5 to 9 apart.

There are plenty of labelled images of 0 to 4, and of 5 to 9 only a few. A network is trained on the
former and saved. For each few images of the latter it gets a new head, which is trained alone on the
features that are there, and then all layers are fine-tuned at a small learning rate. A network of
the same layers learns from the same few images from scratch. What is shown is the accuracy on the
images that none of them has seen: mean and standard deviation over ten draws of the few.

    python examples/transfer_learning.py
"""

import tempfile
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits

from fastinit import nn

SEEDS = range(10)
FEW = (2, 5, 10, 20)  # labelled images of each of the digits 5 to 9
EPOCHS, BATCH = 60, 16


def hidden_layers():
    return [
        nn.Dense(128, "relu", kernel_initializer="he_normal"),
        nn.Dense(64, "relu", kernel_initializer="he_normal"),
    ]


def pretrain(x, labels, seed, path):
    """Train a network on many images, and save it."""
    network = nn.Sequential([*hidden_layers(), nn.Dense(5)], seed=seed)
    network.compile(optimizer=nn.Adam(1e-3))
    network.fit(x, labels, epochs=30, batch_size=BATCH, verbose=0)
    network.save(path)


def transfer(path, x, labels, seed):
    """Return the saved network with a head of its own for these images, before and after tuning."""
    network = nn.Sequential.load(path).with_head(nn.Dense(5, name="head"), seed=seed)
    network.compile(optimizer=nn.Adam(1e-2))
    network.fit(x, labels, epochs=EPOCHS, batch_size=BATCH, verbose=0)
    yield network
    for layer in network.layers:
        layer.trainable = True
    network.compile(optimizer=nn.Adam(3e-4))
    network.fit(x, labels, epochs=EPOCHS, batch_size=BATCH, verbose=0)
    yield network


def from_scratch(x, labels, seed):
    """Return a new network, trained on these images as long as the other one, head and all."""
    network = nn.Sequential([*hidden_layers(), nn.Dense(5)], seed=seed)
    network.compile(optimizer=nn.Adam(1e-3))
    network.fit(x, labels, epochs=2 * EPOCHS, batch_size=BATCH, verbose=0)
    return network


def split(labels, few, seed):
    """Return which images are the few of each class, and which are for testing."""
    order = np.random.default_rng(seed).permutation(len(labels))
    chosen = np.concatenate([order[labels[order] == c][:few] for c in range(5)])
    return chosen, np.setdiff1d(order, chosen)


def main():
    x, digits = load_digits(return_X_y=True)
    x = x / 16
    many, others = digits < 5, digits >= 5
    x_few, labels = x[others], digits[others] - 5
    scores = {few: [] for few in FEW}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "digits_0_to_4.safetensors")
        for seed in SEEDS:
            pretrain(x[many], digits[many], seed, path)
            for few in FEW:
                train, test = split(labels, few, seed)

                def accuracy(network, test=test):
                    return 100 * network.evaluate(x_few[test], labels[test])["accuracy"]

                shown = x_few[train], labels[train], seed
                scratch = accuracy(from_scratch(*shown))
                scores[few].append([scratch, *map(accuracy, transfer(path, *shown))])

    print("accuracy on unseen digits 5 to 9, percent\n")
    print(f"{'images a class':>14}  {'from scratch':>14}  {'new head':>14}  {'fine-tuned':>14}")
    for few, rows in scores.items():
        cells = (f"{np.mean(c):.1f} +- {np.std(c, ddof=1):.1f}" for c in np.transpose(rows))
        print(f"{few:>14}  " + "  ".join(f"{cell:>14}" for cell in cells))
    gain = [np.mean([row[2] - row[0] for row in rows]) for rows in scores.values()]
    print("\ngain by transfer, in points: " + ", ".join(f"{g:+.1f}" for g in gain))


if __name__ == "__main__":
    main()
