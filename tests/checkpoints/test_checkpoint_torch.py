"""Files, models of PyTorch and their training: the same values on every way."""

import numpy as np
import pytest

import fastinit
from fastinit.checkpoints import describe, diff, verify, write
from tests.frameworks import require

torch = require("torch")
safetensors_torch = pytest.importorskip("safetensors.torch")
from fastinit.torch import materialize  # noqa: E402


class Block(torch.nn.Module):
    def __init__(self, width):
        super().__init__()
        self.norm = torch.nn.LayerNorm(width)
        self.up = torch.nn.Linear(width, 3 * width)
        self.down = torch.nn.Linear(3 * width, width)


def net():
    return torch.nn.Sequential(torch.nn.Embedding(50, 16), Block(16), Block(16))


RECIPE = {"*.bias": "zeros", "*norm.weight": "ones", "0.*": "normal(std=0.02)"}
RECIPE |= {"*.up.*": "he_normal", "1.down.weight": "orthogonal", "*": "truncated_normal(std=0.02)"}
SHAPES = {name: tuple(tensor.shape) for name, tensor in net().state_dict().items()}


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16", "float64"])
def test_a_written_file_is_the_materialized_model(dtype, tmp_path):
    model = materialize(net, 3, RECIPE, getattr(torch, dtype))
    path = write(SHAPES, tmp_path / "x.safetensors", RECIPE, 3, dtype=dtype, layout="torch")
    loaded = safetensors_torch.load_file(path)
    assert loaded.keys() == model.state_dict().keys()
    for name, tensor in model.state_dict().items():
        assert loaded[name].dtype == tensor.dtype
        assert torch.equal(loaded[name], tensor), name
    net().to(getattr(torch, dtype)).load_state_dict(loaded)


def test_shards_are_loaded_in_slices(tmp_path):
    safetensors = pytest.importorskip("safetensors")
    path = write(SHAPES, tmp_path, RECIPE, 3, layout="torch", shard_size="4KB")
    expected = fastinit.initialize(SHAPES, describe(path).recipe, 3)
    for file in tmp_path.glob("*.safetensors"):
        with safetensors.safe_open(file, "pt") as opened:
            assert opened.metadata()["format"] == "pt"
            for name in opened.keys():  # noqa: SIM118 - no mapping
                part = opened.get_slice(name)[1:3]
                assert np.array_equal(part.numpy(), expected[name][1:3])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_a_training_is_compared_with_its_beginning(dtype, tmp_path):
    model = materialize(net, 3, RECIPE, dtype)
    begun = diff(model.state_dict(), RECIPE, 3, layout="torch")
    assert {change.unchanged for change in begun.values()} == {1.0}
    with torch.no_grad():
        model[1].up.weight.mul_(0.5)
    found = diff(dict(model.named_parameters()), RECIPE, 3, layout="torch")
    assert found["1.up.weight"].relative == 0.5
    assert found["2.up.weight"].relative == 0
    safetensors_torch.save_file(model.state_dict(), tmp_path / "x.safetensors", {"format": "pt"})
    assert dict(diff(tmp_path / "x.safetensors", RECIPE, 3)) == {
        name: found[name] for name in sorted(found)
    }
    assert not verify(tmp_path / "x.safetensors", RECIPE, 3).ok


def test_a_tensor_that_is_a_view_is_read_in_its_order():
    whole = torch.arange(24.0).reshape(4, 6)
    found = diff({"a": whole.t()}, "zeros", 0)
    assert found["a"].largest == 23
    shown = diff(
        {"a": torch.from_numpy(fastinit.normal((6, 4), seed=fastinit.key(0, "a")))}, "normal", 0
    )
    assert shown["a"].unchanged == 1
    turned = torch.from_numpy(fastinit.normal((6, 4), seed=fastinit.key(0, "a")).T.copy()).t()
    assert diff({"a": turned}, "normal", 0)["a"].unchanged == 1


def test_rewinding_a_model_in_place():
    model = materialize(net, 3, RECIPE)
    begun = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1)
    arrays = {name: p.detach().numpy() for name, p in model.named_parameters()}
    rules = describe(arrays, RECIPE, layout="torch").recipe
    fastinit.initialize(arrays, rules, 3, out=arrays)
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, begun[name]), name
