"""The cases of the benchmarks: whoever takes part in one computes the same."""

import importlib

import numpy as np
import pytest

import fastinit

pytest.importorskip("sklearn", reason="the lab is not installed: pip install '.[lab]'")
import cases

MODULES = ("activations", "arithmetic", "dense", "losses", "normalization", "optimizers")
MODULES += ("recurrent",)
EXACT = [
    (module, table, name)
    for module in MODULES
    for table in ("CASES", "GRADIENTS")
    for name, case in getattr(importlib.import_module(f"cases.{module}"), table, {}).items()
    if not case.random
]


def of(module, table="CASES"):
    return getattr(importlib.import_module(f"cases.{module}"), table)


def smallest(module):
    return getattr(importlib.import_module(f"cases.{module}"), "SIZES", [None])[:1]


def numbers(result):
    """Return what a run returned as a flat list of arrays, of whichever framework they are."""
    if isinstance(result, dict):
        result = list(result.values())
    if isinstance(result, list | tuple):
        return [array for part in result for array in numbers(part)]
    result = result.detach() if hasattr(result, "detach") else result
    return [np.asarray(result, float)]


def differ(reference, result):
    """Say whether any array differs by more than rounding does."""
    return any(
        a.shape != b.shape or np.abs(a - b).max() > 2e-5 * max(1e-2, np.abs(a).max())
        for a, b in zip(numbers(reference), numbers(result), strict=True)
    )


def made(case, contestant, *size):
    """Return the run of a contestant that is installed."""
    try:
        return case.make(contestant, *size)
    except NotImplementedError as missing:
        pytest.skip(str(missing))


@pytest.mark.parametrize(("module", "table", "name"), EXACT)
def test_the_numpy_twin_computes_the_same(module, table, name):
    case, size = of(module, table)[name], smallest(module) if module != "arithmetic" else ()
    ours, theirs = (made(case, who, *size) for who in ("fastinit", "NumPy"))
    for _ in range(2):  # the second call begins where the first one ended
        assert not differ(ours(), theirs())


# One row of each kind, since a framework takes a second for each.
FRAMEWORKS = [
    ("activations", "gelu_tanh"),
    ("arithmetic", "compute_fans"),
    ("dense", "backward"),
    ("losses", "categorical_crossentropy"),
    ("normalization", "batch_norm_backward"),
    ("optimizers", "adamw"),
    ("recurrent", "gru_backward"),
]


@pytest.mark.parametrize("contestant", ["PyTorch", "JAX"])
@pytest.mark.parametrize(("module", "name"), FRAMEWORKS)
def test_the_frameworks_compute_the_same(module, name, contestant):
    case, size = of(module)[name], smallest(module) if module != "arithmetic" else ()
    theirs = made(case, contestant, *size)
    assert not differ(case.make("fastinit", *size)(), theirs())


def test_another_computation_is_seen():
    run = of("dense")["forward"].make("NumPy", (4, 3, 2))
    expected = [array.copy() for array in numbers(run())]
    assert not differ(expected, run())
    expected[0][0, 0] += 1e-3
    assert differ(expected, run())


# ---------------------------------------------------------------- what is drawn


def test_the_catalogue_is_whole():
    from cases import catalogue

    builtin = {name for name in fastinit.names() if hasattr(fastinit, name)}
    assert set(catalogue.ROWS) == builtin
    assert set(catalogue.CASES) == builtin | {"lsuv"}


@pytest.mark.parametrize("name", sorted(of("catalogue")))
def test_the_catalogue_is_drawn_alike(name, monkeypatch):
    from cases import catalogue

    monkeypatch.setattr("os.urandom", bytes)  # what is drawn without a seed, fixed here
    monkeypatch.setattr(catalogue, "GENERATOR", np.random.default_rng(0))
    case = catalogue.CASES[name]
    ours, theirs = (
        np.concatenate([a.ravel() for a in numbers(case.make(who, 32)())])
        for who in ("fastinit", "NumPy")
    )
    if case.random:
        assert ours.std() == pytest.approx(theirs.std(), rel=0.15)
        assert np.abs(ours).max() < 2 * np.abs(theirs).max()
        assert (ours == 0).mean() == pytest.approx((theirs == 0).mean(), abs=0.05)
    else:
        np.testing.assert_allclose(ours, theirs, atol=1e-6)


@pytest.mark.parametrize("name", ["orthogonal", "delta_orthogonal", "convolution_orthogonal"])
def test_numpys_orthogonal_twins_are_orthogonal(name):
    from cases import catalogue

    kernel = of("catalogue")[name].make("NumPy", 16)()
    if name == "orthogonal":
        np.testing.assert_allclose(kernel @ kernel.T, np.eye(16), atol=1e-5)
        return
    assert kernel.shape == catalogue.ROWS[name].shape(16)
    # A convolution that keeps norms: its Fourier transform is orthogonal at every frequency.
    wide = np.fft.fft2(kernel, (5, 5), axes=(0, 1))
    products = wide @ np.swapaxes(wide.conj(), -1, -2)
    np.testing.assert_allclose(products, np.broadcast_to(np.eye(4), products.shape), atol=1e-5)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("law", ["uniform", "normal", "truncated normal"])
def test_fills_have_the_moments_of_the_law(law, dtype):
    mean, std = {"uniform": (0.5, 12**-0.5), "normal": (0, 1), "truncated normal": (0, 0.8796)}[law]
    for contestant in ("fastinit", "NumPy"):
        filled = of("sampling")[law].make(contestant, dtype, 2**14, 1)()
        assert filled.dtype == dtype
        assert filled.mean() == pytest.approx(mean, abs=5 * std / 2**7)
        assert filled.std() == pytest.approx(std, rel=0.03)


def test_a_fill_that_another_row_measures_is_left_out():
    with pytest.raises(NotImplementedError, match="NumPy draws on one thread"):
        of("sampling")["normal"].make("NumPy", "float32", 64, 2)
    with pytest.raises(NotImplementedError, match="NumPy does not draw bfloat16"):
        of("sampling")["normal"].make("NumPy", "bfloat16", 64, 1)


@pytest.mark.parametrize("name", ["small tree", "large tree"])
def test_trees_are_drawn_alike(name):
    ours, theirs = (of("models")[name].make(who, 1)() for who in ("fastinit", "NumPy"))
    assert {name: a.shape for name, a in ours.items()} == {n: a.shape for n, a in theirs.items()}
    for name, array in ours.items():
        assert array.std() == pytest.approx(theirs[name].std(), rel=0.1)


@pytest.mark.parametrize("name", ["20-64-1", "64-128-128-10", "LSTM"])
def test_all_learn_the_same(name):
    losses = []
    for contestant in ("fastinit", "NumPy"):
        run = of("training")[name].make(contestant, 2)
        run.start()
        losses.append(run())
        run.start()  # sets the weights back
        assert run() == pytest.approx(losses[-1], rel=0.1)
    assert losses[0] == pytest.approx(losses[1], rel=0.1)


def test_what_is_missing_is_said(monkeypatch):
    with pytest.raises(NotImplementedError, match="Keras has no gelu"):
        of("activations")["gelu"].make("Keras", 8)

    def absent(*_):
        raise ModuleNotFoundError("No module named 'torch'")

    case = cases.Case("row", {"PyTorch": absent})
    with pytest.raises(NotImplementedError, match="PyTorch: No module named 'torch'"):
        case.make("PyTorch", 8)
