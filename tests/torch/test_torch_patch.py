"""`fastinit.torch.patch`: other people's models, drawn by fastinit."""

import subprocess
import sys
import threading
import types

import pytest
from scipy import stats

from tests.frameworks import require

torch = require("torch")

from torch import nn  # noqa: E402
from torch.nn.init import orthogonal_, trunc_normal_  # noqa: E402

import fastinit  # noqa: E402
from fastinit.torch import init, patch  # noqa: E402
from tests.torch.models import MODELS, trained  # noqa: E402


def attributes():
    """Return what stands where `patch` puts something."""
    names = ("rand", "randn", "rand_like", "randn_like")
    replaced = [vars(torch)[name] for name in names]
    return replaced, dict(vars(torch.Tensor)), dict(vars(torch.nn.init))


def plain_normal():
    """Return PyTorch's own draws, to tell them from fastinit's."""
    return torch.empty(5).normal_(generator=torch.Generator().manual_seed(0))


UNPATCHED = plain_normal()


def patched():
    return not torch.equal(plain_normal(), UNPATCHED)


def built(build, seed=0):
    with patch(seed):
        return build()


@pytest.fixture(autouse=True)
def _all_is_as_it_was_before():
    before = attributes()
    yield
    assert attributes() == before
    assert not {"normal_", "uniform_"} & set(vars(torch.Tensor))


def equal(one, other):
    return all(
        torch.equal(a, b)
        for a, b in zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    )


@pytest.mark.parametrize("name", MODELS)
def test_a_model_is_the_same_by_the_same_seed_and_learns(name):
    state = torch.get_rng_state()
    model = built(MODELS[name])
    assert torch.equal(torch.get_rng_state(), state)
    assert equal(built(MODELS[name]), model)
    assert not equal(built(MODELS[name], 1), model)
    losses = trained(model)
    assert losses[-1] < losses[0]


@pytest.mark.parametrize("name", MODELS)
def test_each_parameter_has_the_law_that_it_has_without(name):
    torch.manual_seed(0)
    plain, ours = MODELS[name](), built(MODELS[name])
    checked = 0
    for (key, a), b in zip(plain.named_parameters(), ours.parameters(), strict=True):
        a, b = a.detach().flatten(), b.detach().flatten()
        if a.unique().numel() == 1:
            assert torch.equal(a, b)
            continue
        assert not torch.equal(a, b), key
        assert stats.ks_2samp(a, b).pvalue > 1e-4, key
        if a.numel() > 1000:
            assert stats.ks_2samp(a, 1.5 * b).pvalue < 1e-4, key
            checked += 1
    assert checked > 3


def test_a_timm_model():
    try:
        import timm
    except (ImportError, RuntimeError) as error:  # it needs a torchvision built for this PyTorch
        pytest.skip(f"timm does not load: {error}")

    def build():
        return timm.create_model("vit_tiny_patch16_224", img_size=32, depth=2, num_classes=10)

    model = built(build)
    assert equal(built(build), model)
    weight = model.blocks[0].mlp.fc1.weight
    assert abs(weight.std() / 0.02 - 1) < 0.05
    loss = model(torch.ones(2, 3, 32, 32)).square().mean()
    loss.backward()
    assert loss.isfinite()


def test_the_nth_draw_has_the_key_of_its_number():
    with patch(seed=5):
        first, second = nn.init.normal_(torch.empty(4, 3)), torch.rand(2, 3)
        third = init.uniform_(torch.empty(3))
    assert (first.numpy() == fastinit.normal((4, 3), 0, 1, seed=fastinit.key(5, "0"))).all()
    assert (second.numpy() == fastinit.uniform((2, 3), 0, 1, seed=fastinit.key(5, "1"))).all()
    assert (third.numpy() == fastinit.uniform((3,), 0, 1, seed=fastinit.key(5, "2"))).all()


def test_other_seeds():
    import numpy as np

    w = built(lambda: torch.randn(3), fastinit.key(0, "model"))
    expected = fastinit.normal((3,), 0, 1, seed=fastinit.key(fastinit.key(0, "model"), "0"))
    assert (w.numpy() == expected).all()
    with patch(np.random.default_rng(0)) as context:
        one = torch.randn(3)
    with context:
        assert torch.equal(torch.randn(3), one)
    assert torch.equal(built(lambda: torch.randn(3), np.random.default_rng(0)), one)
    for wrong in (-1, "0", 1.5):
        with pytest.raises((ValueError, TypeError), match="seed"):
            patch(wrong)


def test_without_a_seed_pytorchs_generator_decides():
    torch.manual_seed(3)
    with patch():
        w = nn.Linear(3, 4)
    torch.manual_seed(3)
    expected = init.kaiming_uniform_(torch.empty(4, 3), a=5**0.5)
    assert torch.equal(w.weight, expected)


def test_a_generator_that_is_given_decides():
    def draw(seed):
        with patch(seed):
            return [
                torch.empty(9).normal_(generator=torch.Generator().manual_seed(7)),
                torch.randn(9, generator=torch.Generator().manual_seed(7)),
                nn.init.orthogonal_(torch.eye(3), generator=torch.Generator().manual_seed(7)),
            ]

    assert all(map(torch.equal, draw(0), draw(1)))
    assert torch.equal(*draw(None)[:2])


CALLS = {
    "normal_": lambda: torch.empty(300).normal_(1.0, 2.0),
    "normal_, named": lambda: torch.empty(300).normal_(mean=1.0, std=2.0),
    "uniform_": lambda: torch.empty(300).uniform_(1.0, 2.0),
    "uniform_, named": lambda: torch.empty(300).uniform_(1.0, to=2.0),
    "uniform_, from": lambda: torch.empty(300).uniform_(**{"from": -1.0}),
    "data": lambda: nn.Parameter(torch.empty(300)).data.normal_(),
    "rand": lambda: torch.rand(30, 10),
    "randn": lambda: torch.randn((30, 10), dtype=torch.float64),
    "randn, complex": lambda: torch.randn(300, dtype=torch.complex64).real,
    "rand_like": lambda: torch.rand_like(torch.empty(300, dtype=torch.bfloat16)).float(),
    "randn_like": lambda: torch.randn_like(torch.empty(30, 10), dtype=torch.float16).float(),
    "trunc_normal_": lambda: nn.init.trunc_normal_(torch.empty(300), std=2.0),
    "trunc_normal_, by name": lambda: trunc_normal_(torch.empty(300), std=2.0),
    "orthogonal_": lambda: nn.init.orthogonal_(torch.empty(30, 10)),
    "orthogonal_, by name": lambda: orthogonal_(torch.empty(30, 10)),
    "sparse_": lambda: nn.init.sparse_(torch.empty(30, 10), 0.1),
    "xavier_normal_": lambda: nn.init.xavier_normal_(torch.empty(30, 10)),
}


@pytest.mark.parametrize("name", CALLS)
def test_a_call_means_what_it_means_in_pytorch(name):
    torch.manual_seed(1)
    plain = CALLS[name]()
    ours = built(CALLS[name])
    assert torch.equal(built(CALLS[name]), ours)
    assert (ours.shape, ours.dtype) == (plain.shape, plain.dtype)
    assert stats.ks_2samp(plain.flatten(), ours.flatten()).pvalue > 1e-3
    assert stats.ks_2samp(plain.flatten(), ours.flatten() + ours.std()).pvalue < 1e-3


def test_timms_copy_of_trunc_normal(monkeypatch):
    layers = types.ModuleType("timm.layers.weight_init")
    layers._trunc_normal_ = nn.init._no_grad_trunc_normal_
    original = layers._trunc_normal_
    monkeypatch.setitem(sys.modules, layers.__name__, layers)
    with patch(0):
        w = layers._trunc_normal_(torch.empty(30), 0.0, 1.0, -2.0, 2.0)
    assert torch.equal(w, built(lambda: nn.init.trunc_normal_(torch.empty(30))))
    assert layers._trunc_normal_ is original


def test_options_of_constructors():
    with patch(0):
        assert torch.randn(2, requires_grad=True).requires_grad
        assert torch.randn(2, 3, device="meta").is_meta
        with torch.device("meta"):
            assert torch.rand(2).is_meta
        assert torch.randn(size=(2, 3)).shape == (2, 3)
        out = torch.empty(3)
        assert torch.randn(3, out=out) is out
        assert torch.randn_like(torch.empty(2, 3).T).stride() == (1, 3)
        with pytest.raises(NotImplementedError):
            torch.randn(3, dtype=torch.int32)
        with pytest.raises(TypeError):
            torch.empty(3).normal_(0, 1, 2)
        with pytest.raises(TypeError):
            torch.empty(3).uniform_(0, 1, 2)
        with pytest.raises(TypeError):
            torch.empty(3).uniform_(low=1)
        with pytest.raises(RuntimeError, match="std >= 0"):
            torch.empty(3).normal_(0, -1)
        with pytest.warns(UserWarning, match="zero-element"):
            nn.init.kaiming_normal_(torch.empty(0, 3))


def test_a_device_context_knows_pytorchs_functions_afterwards():
    code = (
        "import torch, fastinit\n"
        "with fastinit.torch.patch(0), torch.device('meta'): torch.randn(3)\n"
        "with torch.device('meta'): assert torch.randn(3).is_meta and torch.rand(3).is_meta\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_what_autograd_records_or_refuses_is_left_to_it():
    leaf = torch.ones(3, requires_grad=True)
    with patch(0):
        with pytest.raises(RuntimeError, match="leaf Variable"):
            leaf.normal_()
        (2 * leaf).uniform_().sum().backward()
        with torch.no_grad():
            leaf.normal_()
    assert leaf.grad.tolist() == [0.0] * 3


def test_an_exception_passes_and_ends_it():
    with pytest.raises(KeyError), patch(0):
        raise KeyError
    assert not patched()


def test_nested():
    with patch(0):
        first, second = torch.randn(3), torch.randn(3)
    with patch(0) as outer:
        assert torch.equal(torch.randn(3), first)
        with patch(0):
            assert torch.equal(torch.randn(3), first)
        with outer:
            assert torch.equal(torch.randn(3), first)
        with patch():
            torch.manual_seed(0)
            a = torch.randn(3)
            torch.manual_seed(0)
            assert torch.equal(torch.randn(3), a)
        assert torch.equal(torch.randn(3), second)
    assert not patched()


def test_generators_may_leave_in_another_order():
    def builder(seed):
        with patch(seed):
            yield torch.randn(3)
            yield torch.randn(3)

    one, other = builder(0), builder(1)
    next(one), next(other)
    one.close()
    assert patched()
    assert torch.equal(torch.randn(3), list(builder(1))[1])
    other.close()
    assert not patched()


def test_decorator():
    @patch(seed=0)
    def build(depth=0):
        below = [] if depth == 2 else build(depth + 1)
        return [torch.randn(3), *below]

    assert torch.equal(torch.stack(build()), torch.stack(build()))
    assert build.__name__ == "build"


def test_other_threads_draw_as_ever():
    inside, done = threading.Event(), threading.Event()
    found = []

    def build():
        with patch(0):
            inside.set()
            assert done.wait(10)
            found.append(torch.randn(3))

    thread = threading.Thread(target=build)
    thread.start()
    assert inside.wait(10)
    assert not patched()
    torch.manual_seed(0)
    before = torch.randn(3)
    with patch(1):
        assert patched()
    assert not patched()
    done.set()
    thread.join()
    assert torch.equal(found[0], built(lambda: torch.randn(3)))
    torch.manual_seed(0)
    assert torch.equal(torch.randn(3), before)


def test_many_threads():
    expected = [built(MODELS["gpt"], seed) for seed in range(3)]
    found = {}

    def build(seed):
        for _ in range(3):
            found[seed] = built(MODELS["gpt"], seed)

    threads = [threading.Thread(target=build, args=(seed,)) for seed in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(equal(found[seed], expected[seed]) for seed in range(3))


def test_subclasses_are_asked_under_pytorchs_names():
    class Logged(torch.Tensor):
        calls: list = []  # noqa: RUF012

        @classmethod
        def __torch_function__(cls, function, types, args=(), kwargs=None):
            cls.calls.append(function)
            return super().__torch_function__(function, types, args, kwargs or {})

    originals = [torch.Tensor.normal_, torch.Tensor.uniform_]
    tensor = torch.zeros(3).as_subclass(Logged)
    Logged.calls.clear()
    with patch(0):
        assert type(tensor.normal_()) is Logged
        tensor.uniform_(0.0, to=2.0)
    assert Logged.calls == originals


def test_modes_are_asked():
    class Mode(torch.overrides.TorchFunctionMode):
        names: list = []  # noqa: RUF012

        def __torch_function__(self, function, types, args=(), kwargs=None):
            self.names.append(function.__name__)
            return function(*args, **(kwargs or {}))

    with patch(0), Mode():
        w = nn.init.kaiming_normal_(torch.empty(30, 20))
        nn.init.uniform_(torch.empty(3))
    assert {"normal_", "uniform_"} <= set(Mode.names)
    assert torch.equal(w, built(lambda: nn.init.kaiming_normal_(torch.empty(30, 20))))
