"""`fastinit.torch.init` against the real `torch.nn.init`."""

import inspect
import math
import subprocess
import sys
import threading
import warnings

import numpy as np
import pytest
from scipy import stats

from tests.frameworks import require

torch = require("torch")

import fastinit  # noqa: E402
import fastinit.torch  # noqa: E402
from fastinit.torch import init, tensors  # noqa: E402

theirs = torch.nn.init
# name: arguments, and the shape of a tensor that it takes
RANDOM = {
    "uniform_": ((-0.5, 2.0), (200, 100)),
    "normal_": ((0.5, 2.0), (200, 100)),
    "trunc_normal_": ((0.0, 0.7, -1.0, 0.5), (200, 100)),
    "xavier_uniform_": ((2.0,), (64, 32, 3, 3)),
    "xavier_normal_": ((), (200, 100)),
    "kaiming_uniform_": ((math.sqrt(5),), (64, 32, 3, 3)),
    "kaiming_normal_": ((0, "fan_out", "relu"), (64, 32, 3, 3)),
    "orthogonal_": ((3.0,), (200, 100)),
    "sparse_": ((0.25, 0.3), (200, 100)),
}
FILLS = {
    **RANDOM,
    "constant_": ((0.5,), (20, 10)),
    "ones_": ((), (20, 10)),
    "zeros_": ((), (20, 10)),
    "eye_": ((), (20, 10)),
    "dirac_": ((2,), (8, 4, 3)),
}


def words(number, seed=0):
    """Return the words that the default generator gives after manual_seed(seed)."""
    state = torch.get_rng_state()
    torch.manual_seed(seed)
    found = [tensors.word() for _ in range(number)]
    torch.set_rng_state(state)
    return found


@pytest.mark.parametrize("name", theirs.__all__)
def test_every_name_has_the_signature_of_pytorchs(name):
    def form(module):
        parameters = inspect.signature(getattr(module, name)).parameters.values()
        return [(p.name, p.kind, p.default) for p in parameters]

    assert form(init) == form(theirs)
    assert getattr(fastinit.torch, name) is getattr(init, name)


@pytest.mark.parametrize("name", FILLS)
def test_a_parameter_is_filled_in_place_outside_autograd(name):
    arguments, shape = FILLS[name]
    parameter = torch.nn.Parameter(torch.full(shape, math.nan))
    address, version = parameter.data_ptr(), parameter._version
    assert getattr(init, name)(parameter, *arguments) is parameter
    assert parameter.data_ptr() == address
    assert parameter.requires_grad
    assert parameter.grad_fn is None
    assert parameter._version > version
    assert parameter.isfinite().all()


def test_autograd_notices_that_a_value_it_kept_has_changed():
    w = torch.nn.Parameter(torch.ones(3))
    loss = (w * w).sum()
    init.normal_(w)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def two_samples(name, wrong=False):
    arguments, shape = RANDOM[name]
    torch.manual_seed(1)
    ours = getattr(init, name)(torch.empty(shape), *arguments).flatten()
    other = getattr(theirs, name)(torch.empty(shape), *arguments).flatten()
    return stats.ks_2samp(ours, other * 1.2 if wrong else other).pvalue


@pytest.mark.parametrize("name", RANDOM)
def test_draws_have_the_law_of_pytorchs(name):
    assert two_samples(name) > 1e-3
    assert two_samples(name, wrong=True) < 1e-3


LAWS = {
    "far tail": (
        lambda w: init.trunc_normal_(w, 0.0, 1.0, 4.0, 5.0),
        stats.truncnorm(4, 5),
    ),
    "bounds in sigma": (
        lambda w: init.trunc_normal_tf_(w, 1.0, 0.5, -1.0, 3.0),
        stats.truncnorm(-1, 3, 1.0, 0.5),
    ),
    "lecun_normal_": (
        lambda w: init.lecun_normal_(w),
        stats.truncnorm(-2, 2, 0, 100**-0.5 / 0.8796256610342398),
    ),
    "lecun_uniform_": (
        lambda w: init.lecun_uniform_(w),
        stats.uniform(-(0.03**0.5), 2 * 0.03**0.5),
    ),
    "variance_scaling_": (
        lambda w: init.variance_scaling_(w, 2.0, "fan_out"),
        stats.norm(0, (2 / 200) ** 0.5),
    ),
    "apply_ by name": (
        lambda w: init.apply_(w, "he_normal"),
        stats.norm(0, (2 / 100) ** 0.5),
    ),
    "gain by quadrature": (
        lambda w: init.kaiming_normal_(w, nonlinearity="gelu"),
        stats.norm(0, fastinit.gain("gelu") / 10),
    ),
}


@pytest.mark.parametrize("name", LAWS)
@pytest.mark.filterwarnings("ignore:mean is more than 2 std")
def test_draws_have_the_law_that_scipy_knows(name):
    fill, law = LAWS[name]
    torch.manual_seed(1)
    w = fill(torch.empty(200, 100, dtype=torch.float64)).flatten()
    assert stats.kstest(w, law.cdf).pvalue > 1e-3
    assert stats.kstest(w * 1.05, law.cdf).pvalue < 1e-3


@pytest.mark.parametrize(("rows", "columns"), [(50, 50), (80, 30), (30, 80)])
def test_orthogonal_is_orthogonal(rows, columns):
    w = init.orthogonal_(torch.empty(rows, columns), 2.0)
    gram = w @ w.T if rows <= columns else w.T @ w
    torch.testing.assert_close(gram, 4.0 * torch.eye(min(rows, columns)), atol=2e-5, rtol=0)


def test_orthogonal_takes_what_pytorch_refuses():
    w = torch.empty(16, 3, 2, 2).to(memory_format=torch.channels_last)
    torch.manual_seed(3)
    init.orthogonal_(w)
    flat = w.reshape(16, -1)
    torch.testing.assert_close(flat.T @ flat, torch.eye(12), atol=1e-5, rtol=0)
    torch.manual_seed(3)
    half = init.orthogonal_(torch.empty(16, 12, dtype=torch.bfloat16))
    assert torch.equal(half, flat.bfloat16())


def test_sparse_zeroes_a_number_of_each_column_which_the_generator_decides():
    generator = torch.Generator().manual_seed(5)
    w = init.sparse_(torch.empty(30, 40), 0.33, generator=generator)
    assert ((w == 0).sum(dim=0) == 10).all()
    assert len({tuple(column) for column in (w == 0).T.tolist()}) > 30
    state = torch.get_rng_state()
    again = init.sparse_(torch.empty(30, 40), 0.33, generator=generator.manual_seed(5))
    assert torch.equal(w, again)
    assert torch.equal(torch.get_rng_state(), state)


def test_a_value_is_the_catalogues_at_the_word():
    (word,) = words(1, seed=7)
    torch.manual_seed(7)
    w = init.normal_(torch.nn.Parameter(torch.empty(30, 20)), 0.5, 2.0)
    expected = fastinit.normal((30, 20), 0.5, 2.0, seed=fastinit.Key(word))
    np.testing.assert_array_equal(w.detach().numpy(), expected)


DRAWS = {
    "uniform_": lambda w: init.uniform_(w, -1.0, 3.0),
    "normal_": lambda w: init.normal_(w, 1.0, 0.5),
    "trunc_normal_": lambda w: init.trunc_normal_(w, 0.0, 0.5, -0.7, 1.0),
    "kaiming_normal_": init.kaiming_normal_,
    "sparse_": lambda w: init.sparse_(w, 0.5),
    "orthogonal_": init.orthogonal_,
}


def drawn(name, tensor, seed=11):
    torch.manual_seed(seed)
    return DRAWS[name](tensor)


@pytest.mark.parametrize("name", DRAWS)
def test_manual_seed_decides_and_each_call_advances_the_generator_once(name):
    first = drawn(name, torch.empty(20, 30))
    state = torch.get_rng_state()
    second = DRAWS[name](torch.empty(20, 30))
    assert torch.equal(drawn(name, torch.empty(20, 30)), first)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(DRAWS[name](torch.empty(20, 30)), second)
    assert not torch.equal(first, second)
    assert not torch.equal(drawn(name, torch.empty(20, 30), seed=12), first)
    with torch.random.fork_rng(devices=[]):
        drawn(name, torch.empty(20, 30))
    state = torch.get_rng_state()
    generator = torch.Generator().manual_seed(11)
    assert torch.equal(
        getattr(init, name)(torch.empty(20, 30), *RANDOM[name][0], generator=generator),
        getattr(init, name)(
            torch.empty(20, 30), *RANDOM[name][0], generator=generator.manual_seed(11)
        ),
    )
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("name", DRAWS)
def test_any_strides_hold_the_same_values_and_nothing_else_is_touched(name):
    expected = drawn(name, torch.empty(20, 30))
    frame = torch.full((60, 2, 25), -7.0)
    view = frame[::2, 0, :20].T  # 20 x 30, its second axis the slower one
    drawn(name, view)
    assert torch.equal(view, expected)
    assert (frame[1::2] == -7.0).all()
    assert (frame[:, 1] == -7.0).all()
    assert (frame[:, :, 20:] == -7.0).all()


def test_channels_last():
    expected = drawn("kaiming_normal_", torch.empty(8, 4, 3, 3))
    w = torch.empty(8, 4, 3, 3).to(memory_format=torch.channels_last)
    assert torch.equal(drawn("kaiming_normal_", w), expected)


@pytest.mark.parametrize("name", DRAWS)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_sixteen_bits_are_the_float32_draws_rounded(name, dtype):
    single = drawn(name, torch.empty(20, 30))
    assert torch.equal(drawn(name, torch.empty(20, 30, dtype=dtype)), single.to(dtype))


@pytest.mark.parametrize("name", DRAWS)
def test_double_precision(name):
    double = drawn(name, torch.empty(20, 30, dtype=torch.float64))
    torch.testing.assert_close(double.float(), drawn(name, torch.empty(20, 30)), atol=1e-5, rtol=0)
    assert not torch.equal(double.float().double(), double)


@pytest.mark.parametrize("dtype", [torch.complex64, torch.complex128])
@pytest.mark.parametrize("mean", [0.0, 1.0])  # PyTorch adds it to both parts
def test_complex_normals_have_pytorchs_moments(dtype, mean):
    for module in (init, theirs):
        torch.manual_seed(2)
        w = module.normal_(torch.empty(200, 200, dtype=dtype), mean, 3.0)
        for part in (w.real, w.imag):
            assert abs(part.mean() - mean) < 0.05
            assert abs(part.var() / 4.5 - 1) < 0.05


def test_conjugate_and_negative_views_read_as_the_law_says():
    w = torch.zeros(100, 100, dtype=torch.complex64)
    init.normal_(w.conj(), 5.0, 0.1)
    assert (w.real > 4).all()
    init.normal_(w.conj().imag, 5.0, 0.1)
    assert (w.imag < -4).all()


def test_another_device_gets_the_same_values_by_way_of_host_memory():
    law = init.law(init.gaussian, 0.0, 0.5)
    for dtype in (torch.float32, torch.bfloat16, torch.float16, torch.complex64):
        torch.manual_seed(11)
        expected = init.normal_(torch.empty(20, 30, dtype=dtype), 0.0, 0.5)
        torch.manual_seed(11)
        w = torch.empty(30, 20, dtype=dtype).T
        assert tensors._draw_elsewhere(w, law, None, init.fill, tensors.row_of(w))
        assert torch.equal(w, expected)


BAD = {
    "standard deviation below 0": lambda m: m.normal_(torch.ones(3, 3), 0.0, -1.0),
    "bounds exchanged": lambda m: m.uniform_(torch.ones(3, 3), 1.0, 0.0),
    "bounds beyond the dtype": lambda m: m.uniform_(torch.ones(3).half(), 0.0, 1e6),
    "infinite bound": lambda m: m.uniform_(torch.ones(3), 0.0, math.inf),
    "truncation bounds exchanged": lambda m: m.trunc_normal_(torch.ones(3), 0.0, 1.0, 2.0, -2.0),
    "truncated, no spread": lambda m: m.trunc_normal_(torch.ones(3), 0.0, 0.0),
    "integers, normal": lambda m: m.normal_(torch.ones(3, dtype=torch.int32)),
    "integers, uniform": lambda m: m.uniform_(torch.ones(3, dtype=torch.int64)),
    "float8": lambda m: m.normal_(torch.ones(3).to(torch.float8_e4m3fn)),
    "complex, truncated": lambda m: m.trunc_normal_(torch.ones(3, dtype=torch.complex64)),
    "complex, orthogonal": lambda m: m.orthogonal_(torch.ones(3, 3, dtype=torch.complex64)),
    "sparse layout": lambda m: m.normal_(torch.eye(3).to_sparse()),
    "shared memory, normal": lambda m: m.normal_(torch.ones(3, 1).expand(3, 4)),
    "shared memory, kaiming": lambda m: m.kaiming_uniform_(torch.ones(3, 1).expand(3, 4)),
    "shared memory, orthogonal": lambda m: m.orthogonal_(torch.ones(3, 1).expand(3, 4)),
    "inference is over": lambda m: m.normal_(inference_tensor()),
    "no tensor": lambda m: m.uniform_([1.0, 2.0]),
    "an array": lambda m: m.kaiming_normal_(np.ones((3, 3))),
    "text": lambda m: m.normal_(torch.ones(3), "0"),
    "no generator": lambda m: m.normal_(torch.ones(3), generator=3),
    "one axis, xavier": lambda m: m.xavier_uniform_(torch.ones(3)),
    "one axis, kaiming": lambda m: m.kaiming_normal_(torch.ones(3)),
    "one axis, orthogonal": lambda m: m.orthogonal_(torch.ones(3)),
    "three axes, sparse": lambda m: m.sparse_(torch.ones(3, 3, 3), 0.5),
    "three axes, eye": lambda m: m.eye_(torch.ones(3, 3, 3)),
    "two axes, dirac": lambda m: m.dirac_(torch.ones(3, 3)),
    "groups, dirac": lambda m: m.dirac_(torch.ones(3, 3, 3), 2),
    "no such mode": lambda m: m.kaiming_uniform_(torch.ones(3, 3), mode="fan_avg"),
    "no such activation": lambda m: m.kaiming_uniform_(torch.ones(3, 3), nonlinearity="rellu"),
    "no slope": lambda m: m.kaiming_normal_(torch.ones(3, 3), a="steep"),
    "True is no slope": lambda m: m.calculate_gain("leaky_relu", True),
    "both sizes 0": lambda m: m.xavier_normal_(torch.ones(0, 0)),
    "unexpected argument": lambda m: m.normal_(torch.ones(3), sigma=1.0),
    "vmap": lambda m: torch.func.vmap(lambda x: m.normal_(x))(torch.ones(3, 3)),
}


def inference_tensor():
    with torch.inference_mode():
        return torch.ones(3, 3)


@pytest.mark.parametrize("name", BAD)
def test_errors_are_pytorchs(name):
    with pytest.raises(Exception) as expected:  # noqa: PT011 - whatever PyTorch raises
        BAD[name](theirs)
    with pytest.raises(expected.type):
        BAD[name](init)


LENIENT = {
    "infinite mean": lambda m: m.normal_(torch.ones(3), math.inf),
    "beyond float16": lambda m: m.normal_(torch.ones(3).half(), 1e6).isinf(),
    "equal bounds": lambda m: m.uniform_(torch.ones(3), 2.0, 2.0),
    "equal truncation bounds": lambda m: m.trunc_normal_(torch.ones(3), 0.0, 1.0, 0.5, 0.5),
    "no spread": lambda m: m.normal_(torch.ones(3), 2.0, 0.0),
    "complex uniform": lambda m: (m.uniform_(torch.ones(99, dtype=torch.complex64)).imag > 0).all(),
    "all zeros": lambda m: m.sparse_(torch.ones(3, 3), 1.0),
    "empty": lambda m: m.normal_(torch.ones(0, 3)),
    "empty, sparse": lambda m: m.sparse_(torch.ones(0, 3), 0.5),
    "empty, orthogonal": lambda m: m.orthogonal_(torch.ones(0, 3)),
    "numbers in tensors": lambda m: m.normal_(torch.ones(3), torch.tensor(2.0), np.float32(0.0)),
}


@pytest.mark.parametrize("name", LENIENT)
@pytest.mark.filterwarnings("ignore:mean is more than 2 std")
def test_odd_arguments_do_what_they_do_in_pytorch(name):
    assert torch.equal(torch.as_tensor(LENIENT[name](init)), torch.as_tensor(LENIENT[name](theirs)))


def test_a_law_does_not_remember_a_tensor_that_has_changed():
    mean = torch.tensor(1.0)
    assert init.normal_(torch.empty(3), mean, 0.0).tolist() == [1.0] * 3
    mean.fill_(2.0)
    assert init.normal_(torch.empty(3), mean, 0.0).tolist() == [2.0] * 3


WARNS = {
    "empty, kaiming_uniform_": lambda m: m.kaiming_uniform_(torch.empty(0, 3)),
    "empty, kaiming_normal_": lambda m: m.kaiming_normal_(torch.empty(3, 0)),
    "mean outside": lambda m: m.trunc_normal_(torch.empty(3), 5.0, 1.0, -2.0, 2.0),
    "normal": lambda m: m.normal(torch.empty(3)),
    "xavier_uniform": lambda m: m.xavier_uniform(torch.empty(3, 3), gain=2.0),
    "sparse": lambda m: m.sparse(torch.empty(3, 3), 0.1),
}


@pytest.mark.parametrize("name", WARNS)
def test_warnings_are_pytorchs(name):
    def warned(module):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            WARNS[name](module)
        return [(w.category, str(w.message).split(". ")[0]) for w in caught], caught

    ours, caught = warned(init)
    assert ours == warned(theirs)[0]
    assert len(ours) == 1
    assert caught[0].filename == __file__


def test_empty_and_meta_tensors_leave_the_generator_alone():
    state = torch.get_rng_state()
    for name, (arguments, shape) in RANDOM.items():
        meta = torch.empty(shape, device="meta")
        assert getattr(init, name)(meta, *arguments) is meta
    init.normal_(torch.empty(0, 3))
    init.apply_(torch.empty(3, device="meta"), "normal")
    assert torch.equal(torch.get_rng_state(), state)


def test_a_tensor_without_axes():
    w = drawn("normal_", torch.empty(()))
    assert w == drawn("normal_", torch.empty(1))[0]


def test_inside_inference_mode():
    with torch.inference_mode():
        w = drawn("normal_", torch.empty(20, 30))
        assert torch.equal(w, drawn("normal_", torch.empty(20, 30)))
    assert torch.equal(w, drawn("normal_", torch.empty(20, 30)))


class Logged(torch.Tensor):
    calls: list = []  # noqa: RUF012

    @classmethod
    def __torch_function__(cls, function, types, args=(), kwargs=None):
        cls.calls.append(function)
        return super().__torch_function__(function, types, args, kwargs or {})


@pytest.mark.parametrize("name", ["uniform_", "normal_", "constant_", "kaiming_uniform_"])
def test_subclasses_are_asked_as_by_pytorch(name):
    arguments = (0.5,) if name == "constant_" else ()
    w = torch.zeros(3, 3).as_subclass(Logged)
    Logged.calls.clear()
    assert type(getattr(init, name)(w, *arguments)) is Logged
    assert Logged.calls[0] is getattr(theirs, name)
    assert (w.as_subclass(torch.Tensor) != 0).all()


def test_function_modes_are_asked_and_plain_tensors_stay_fastinits():
    class Mode(torch.overrides.TorchFunctionMode):
        calls: list = []  # noqa: RUF012

        def __torch_function__(self, function, types, args=(), kwargs=None):
            self.calls.append(function)
            return function(*args, **(kwargs or {}))

    expected = drawn("normal_", torch.empty(20, 30))
    with Mode():
        w = drawn("normal_", torch.empty(20, 30))
    assert torch.equal(w, expected)
    assert init.normal_ in Mode.calls
    with torch.device("cpu"):
        assert torch.equal(drawn("kaiming_normal_", w), drawn("kaiming_normal_", w.clone()))


def test_subclasses_that_hold_no_memory_are_left_to_pytorch():
    from torch._subclasses.fake_tensor import FakeTensorMode

    with FakeTensorMode():
        w = torch.empty(3, 4)
        assert init.xavier_normal_(w) is w


def test_gains_are_pytorchs_and_more():
    convolutions = [f"conv{kind}{n}d" for kind in ("", "_transpose") for n in (1, 2, 3)]
    for name in ("linear", *convolutions, "sigmoid", "tanh", "relu", "leaky_relu", "selu"):
        for param in (None, 0.3, 1):
            assert init.calculate_gain(name, param) == theirs.calculate_gain(name, param)
    assert init.calculate_gain("silu") == fastinit.gain("silu")
    assert init.calculate_gain(lambda z: 2.0 * z) == pytest.approx(0.5)


def test_helpers_that_other_code_imports():
    from fastinit.torch.init import (
        _calculate_correct_fan,
        _calculate_fan_in_and_fan_out,
        _no_grad_fill_,
        _no_grad_normal_,
        _no_grad_trunc_normal_,
        _no_grad_uniform_,
        _no_grad_zero_,
    )

    w = torch.nn.Parameter(torch.empty(8, 4, 3, 3))
    assert _calculate_fan_in_and_fan_out(w) == theirs._calculate_fan_in_and_fan_out(w) == (36, 72)
    assert _calculate_correct_fan(w, "FAN_OUT") == 72
    for fill, arguments in (
        (_no_grad_uniform_, (0.0, 1.0)),
        (_no_grad_normal_, (0.0, 1.0)),
        (_no_grad_trunc_normal_, (0.0, 1.0, -2.0, 2.0)),
        (_no_grad_fill_, (3.0,)),
        (_no_grad_zero_, ()),
    ):
        assert fill(w, *arguments) is w
    assert (w == 0).all()


def test_apply_shows_the_catalogue_its_own_layout():
    (word,) = words(1)
    torch.manual_seed(0)
    w = init.apply_(torch.empty(6, 4, 3, 3), "delta_orthogonal")
    expected = fastinit.get("delta_orthogonal")((3, 3, 4, 6), seed=fastinit.Key(word))
    np.testing.assert_array_equal(w.permute(2, 3, 1, 0).numpy(), expected)
    torch.manual_seed(0)
    w = init.apply_(torch.empty(6, 4, 3, 3), "he_uniform")
    expected = fastinit.uniform(
        (6, 4, 3, 3), -((6 / 36) ** 0.5), (6 / 36) ** 0.5, seed=fastinit.Key(word)
    )
    np.testing.assert_allclose(w.numpy(), expected, rtol=1e-6)
    assert init.apply_(torch.empty(3), lambda shape, *, seed, dtype: np.arange(3.0))[2] == 2.0


def test_apply_says_what_is_wrong():
    with pytest.raises(fastinit.errors.UnknownNameError):
        init.apply_(torch.empty(3, 3), "he_norml")
    with pytest.raises(fastinit.errors.ArgumentTypeError, match=r"torch\.int32"):
        init.apply_(torch.empty(3, 3, dtype=torch.int32), "he_normal")
    with pytest.raises(fastinit.errors.ArgumentTypeError, match=r"strides \(1, 0\)"):
        init.apply_(torch.empty(3, 1).expand(3, 4), "he_normal")
    with pytest.raises(fastinit.errors.ArgumentError, match="float16"):
        init.apply_(torch.empty(3, dtype=torch.float16), "normal(std=1e6)")
    with pytest.raises(fastinit.errors.ArgumentError):
        init.apply_(torch.empty(3), "he_normal")


def test_threads_with_their_own_generators():
    def fill(seed, found):
        generator = torch.Generator().manual_seed(seed)
        found[seed] = [init.normal_(torch.empty(50), generator=generator) for _ in range(50)]

    found, alone = {}, {}
    threads = [threading.Thread(target=fill, args=(seed, found)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for seed in range(4):
        fill(seed, alone)
        assert all(map(torch.equal, found[seed], alone[seed]))


class Noise(torch.utils.data.Dataset):
    def __len__(self):
        return 6

    def __getitem__(self, index):
        return init.normal_(torch.empty(300, 400)).flatten()[:3]


@pytest.mark.filterwarnings("ignore:This process.*multi-threaded:DeprecationWarning")
def test_forked_workers_draw_by_their_own_seeds():
    init.normal_(torch.empty(400, 400))  # the threads of the parent exist

    def epoch():
        torch.manual_seed(3)
        loader = torch.utils.data.DataLoader(Noise(), num_workers=2, multiprocessing_context="fork")
        return torch.cat(list(loader))

    rows = epoch()
    assert len(rows.unique(dim=0)) == 6
    assert torch.equal(epoch(), rows)


def test_without_pytorch_the_error_says_what_to_install():
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "import fastinit\n"
        "try: fastinit.torch\n"
        "except ImportError as error: assert \"pip install 'fastinit[torch]'\" in str(error)\n"
        "else: raise AssertionError\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_every_public_function_has_an_example():
    for name in init.__all__:
        assert ">>> " in getattr(init, name).__doc__ or not name.endswith("_")
