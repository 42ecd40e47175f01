"""Recording the training of a PyTorch module in a loop of its own."""

import math

import numpy as np
import pytest

import fastinit
from fastinit.errors import ArgumentTypeError
from fastinit.lab.recording import Recorder, Recording
from tests.frameworks import require

torch = require("torch")

X = torch.from_numpy(fastinit.normal((48, 6), 0.0, 1.0, seed=1))
Y = (X[:, 0] > 0).long()


def model():
    made = torch.nn.Sequential(
        torch.nn.Linear(6, 8), torch.nn.BatchNorm1d(8), torch.nn.ReLU(), torch.nn.Dropout(0.5),
        torch.nn.Linear(8, 2),
    )  # fmt: skip
    with torch.no_grad():
        for number, parameter in enumerate(made.parameters()):
            values = fastinit.normal(tuple(parameter.shape), 0.0, 0.5, seed=number)
            parameter.copy_(torch.from_numpy(np.asarray(values)))
    return made


def train(made, recorder=None, steps=10):
    torch.manual_seed(0)
    optimizer = torch.optim.Adam(made.parameters(), lr=0.01)
    losses, kernels = [], [made[0].weight.detach().clone()]
    for step in range(steps):
        rows = slice(8 * (step % 6), 8 * (step % 6) + 8)
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(made(X[rows]), Y[rows])
        loss.backward()
        optimizer.step()
        if recorder is not None:
            recorder.step(loss, epoch=step // 6)
        losses.append(loss.item())
        kernels.append(made[0].weight.detach().clone())
    return losses, kernels


def test_a_loop_is_recorded_and_not_changed(tmp_path):
    alone, watched = model(), model()
    losses, _ = train(alone)
    with Recorder(tmp_path / "run.jsonl", watched, X, Y, every=4) as recorder:
        again, kernels = train(watched, recorder)
    assert again == losses
    for mine, theirs in zip(
        watched.state_dict().values(), alone.state_dict().values(), strict=True
    ):
        assert torch.equal(mine, theirs)
    found = Recording.load(recorder.path)
    assert found.framework == "torch"
    assert "torch" in found.versions
    assert found.steps.tolist() == [0, 4, 8, 10]
    np.testing.assert_array_equal(found.epochs, [math.nan, 0, 1, 1])
    np.testing.assert_allclose(found.losses[1:], [losses[3], losses[7], losses[9]], rtol=1e-6)
    place = found.layers.index("0")
    changes = found.values("update_ratio")[:, place]
    for record, step in ((1, 4), (2, 8)):
        ratio = float((kernels[step] - kernels[step - 1]).norm() / kernels[step].norm())
        assert changes[record] == pytest.approx(ratio, rel=1e-4)


def stopped(made, recorder):
    with recorder:
        train(made, recorder, steps=6)
        raise RuntimeError("stop")


def test_an_interrupted_loop_has_no_last_record(tmp_path):
    made = model()
    recorder = Recorder(tmp_path / "run.jsonl", made, X, Y, every=4)
    with pytest.raises(RuntimeError, match="stop"):
        stopped(made, recorder)
    assert Recording.load(recorder.path).steps.tolist() == [0, 4]


def test_there_is_no_callback(tmp_path):
    with pytest.raises(ArgumentTypeError, match=r"recorder\.step"):
        Recorder(tmp_path / "run.jsonl", model(), X).callback()
