"""Transfer learning: what a network learnt from the digits 0 to 4 helps it to tell 5 to 9 apart.

There are plenty of labelled images of 0 to 4, and of 5 to 9 only a few. A recurrent network, which
reads an image row by row, is trained on the former and saved. For the latter it gets a new head,
which learns alone at first; then all layers are fine-tuned at a smaller learning rate. A network of
the same layers learns from the same few images from scratch, for as many epochs. The table has the
accuracy on images that neither has seen: mean and standard deviation over ten draws of the few.

Transfer is no gain as such: a dense network on the pixels of these small, centred images does as
well from scratch. Reading in order is what takes many examples to learn, and what carries over.

    python examples/transfer_learning.py
"""

import tempfile
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits

from fastinit import nn

SEEDS = range(10)
FEW = (5, 10, 20)  # labelled images of each of the digits 5 to 9
BATCH = 16
HEAD_EPOCHS, EPOCHS = 20, 40
HEAD_RATE, RATE = 1e-2, 3e-3


def train(network, x, labels, epochs, rate):
    """Return the network, trained."""
    network.compile(optimizer=nn.Adam(rate))
    network.fit(x, labels, epochs=epochs, batch_size=BATCH, verbose=0)
    return network


def new_network(seed):
    """Return a network that has learnt nothing."""
    return nn.Sequential([nn.GRU(48, return_sequences=True), nn.GRU(48), nn.Dense(5)], seed=seed)


def transfer(path, x, labels, seed):
    """Yield the saved network with a new head, trained alone, and then fine-tuned as a whole."""
    network = nn.Sequential.load(path).with_head(nn.Dense(5, name="head"), seed=seed)
    yield train(network, x, labels, HEAD_EPOCHS, HEAD_RATE)
    for layer in network.layers:
        layer.trainable = True
    yield train(network, x, labels, EPOCHS, RATE)


def split(labels, few, seed):
    """Return which images are the few of each class, and which are for testing."""
    order = np.random.default_rng(seed).permutation(len(labels))
    chosen = np.concatenate([order[labels[order] == c][:few] for c in range(5)])
    return chosen, np.setdiff1d(order, chosen)


def main():
    """Print the table."""
    x, digits = load_digits(return_X_y=True)
    x = x.reshape(-1, 8, 8) / 16  # eight steps of eight features
    many, others = digits < 5, digits >= 5
    images, labels = x[others], digits[others] - 5
    scores = {few: [] for few in FEW}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "digits_0_to_4.safetensors")
        for seed in SEEDS:
            train(new_network(seed), x[many], digits[many], epochs=20, rate=RATE).save(path)
            for few in FEW:
                chosen, unseen = split(labels, few, seed)
                shown = images[chosen], labels[chosen]

                def accuracy(network, unseen=unseen):
                    return 100 * network.evaluate(images[unseen], labels[unseen])["accuracy"]

                scratch = train(new_network(100 + seed), *shown, HEAD_EPOCHS + EPOCHS, RATE)
                transferred = transfer(path, *shown, seed)
                scores[few].append([accuracy(scratch), *map(accuracy, transferred)])

    print("accuracy on unseen images of 5 to 9, in percent; gain over the same draws, in points")
    print("images a class    from scratch   new head alone      fine-tuned            gain")
    for few, rows in scores.items():
        scratch, head, tuned = np.transpose(rows)
        columns = (scratch, head, tuned, tuned - scratch)
        cells = (f"{np.mean(c):.1f} +- {np.std(c, ddof=1):.1f}" for c in columns)
        print(f"{few:>14}" + "".join(f"{cell:>16}" for cell in cells))


if __name__ == "__main__":
    main()
