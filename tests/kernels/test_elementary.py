"""The elementary functions against the C library's in wider precision, and known digits."""

import math

import numba
import numpy as np
import pytest

from fastinit.kernels import elementary

TINY = np.finfo(np.float32).tiny
# The error in units in the last place: in float32 what an exhaustive search found, rounded up; in
# float64 with room for the oracle's own where it has no wider type.
ULPS = {
    "exp": 1.1,
    "expm1": 2.1,
    "log": 1.2,
    "log1p": 1.6,
    "tanh": 2.1,
    "sigmoid": 2.5,
    "softplus": 2.1,
    "erf": 1.6,
    "normal_cdf": 6.6,
}
every_function = pytest.mark.parametrize("name", ULPS)

KNOWN = {
    "exp": {
        -700.5: 5.9801961186397912064e-305,
        -1.25: 0.28650479686019010032,
        0.3: 1.349858807576003089,
        700.0: 1.0142320547350045095e304,
    },
    "expm1": {
        -40.0: -0.99999999999999999575,
        -0.75: -0.52763344725898529286,
        1e-10: 1.0000000000500000364e-10,
        0.5: 0.64872127070012814685,
        30.0: 10686474581523.462147,
    },
    "log": {
        5e-324: -744.44007192138126231,
        1e-310: -713.8013788281541651,
        0.75: -0.28768207245178092744,
        3.5: 1.2527629684953679957,
        1e300: 690.77552789821370526,
    },
    "log1p": {
        -0.999: -6.9077552789821361639,
        -1e-12: -1.0000000000004999799e-12,
        0.4375: 0.36290549368936845314,
        2.5: 1.2527629684953679957,
        1e20: 46.05170185988091368,
    },
    "tanh": {
        -3.0: -0.99505475368673045133,
        1e-9: 1.0000000000000000619e-9,
        0.25: 0.24491866240370912928,
        1.0: 0.76159415595576488812,
        18.0: 0.9999999999999995361,
    },
    "sigmoid": {
        -700.0: 9.8596765437597708567e-305,
        -20.0: 2.0611536181902035814e-9,
        0.5: 0.62245933120185456464,
        30.0: 0.99999999999990642377,
    },
    "softplus": {
        -40.0: 4.2483542552915889863e-18,
        -1.0: 0.31326168751822283405,
        0.25: 0.82593941987884356221,
        30.0: 30.000000000000093576,
    },
    "erf": {
        -1e-9: -1.1283791670955126438e-9,
        0.5: 0.52049987781304653768,
        1.5: 0.96610514647531072707,
        4.0: 0.99999998458274209972,
    },
    "normal_cdf": {
        -37.0: 5.7255712225245768227e-300,
        -20.0: 2.7536241186062336951e-89,
        -5.0: 2.8665157187919391167e-7,
        -0.5: 0.30853753872598689636,
        1.5: 0.933192798731141934,
    },
}


def _over_elements(function, inputs):
    return np.array([function(x) for x in inputs.tolist()])


ORACLES = {
    "exp": np.exp,
    "expm1": np.expm1,
    "log": np.log,
    "log1p": np.log1p,
    "tanh": np.tanh,
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "softplus": lambda x: np.maximum(x, 0) + np.log1p(np.exp(-abs(x))),
    "erf": lambda x: _over_elements(math.erf, x),
    "normal_cdf": lambda x: _over_elements(lambda x: math.erfc(-x / math.sqrt(2)) / 2, x),
}


def _looped(name):
    """Return the function over arrays, as a kernel would use it."""
    function = getattr(elementary, name)

    @numba.njit(error_model="numpy")
    def loop(x, out):
        for i in range(x.size):
            out[i] = function(x[i])

    def over_arrays(x):
        out = np.empty_like(x)
        loop(x, out)
        return out

    over_arrays.loop = loop
    return over_arrays


LOOPS = {name: _looped(name) for name in ULPS}


def errors(values, oracle):
    """Units in the last place between values and those of an oracle in a wider type."""
    return abs(values.astype(oracle.dtype) - oracle) / np.spacing(abs(oracle).astype(values.dtype))


@every_function
def test_float32_over_all_its_numbers(name):
    x = np.arange(0, 2**32, 9973, dtype=np.uint32).view(np.float32)
    out = LOOPS[name](x)
    with np.errstate(all="ignore"):
        oracle = ORACLES[name](x.astype(np.float64))
        expected = oracle.astype(np.float32)
        normal = np.isfinite(expected) & (abs(expected) >= TINY)
        assert errors(out[normal], oracle[normal]).max() <= ULPS[name]
    special = ~np.isfinite(expected)
    np.testing.assert_array_equal(out[special], expected[special])
    # What is below the smallest normal number may be flushed to zero.
    assert abs(out[~normal & ~special] - oracle[~normal & ~special]).max(initial=0) <= TINY


@every_function
def test_float64_in_the_last_place(name):
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.uniform(-30, 30, 20000), rng.uniform(-2, 2, 20000)])
    x = np.concatenate([x, np.exp(rng.uniform(-60, 5, 20000)) * rng.choice([-1, 1], 20000)])
    x = {"log": abs(x), "log1p": np.where(x > -1, x, -1 / x)}.get(name, x)
    x = x[x > -5] if name == "normal_cdf" else x  # math.erfc's argument is rounded
    wide = name not in ("erf", "normal_cdf")
    oracle = ORACLES[name](x.astype(np.longdouble) if wide else x)
    room = 1.5 if np.finfo(np.longdouble).nmant == 52 or not wide else 0.1
    room += 25 if name == "normal_cdf" else 0
    assert errors(LOOPS[name](x), oracle).max() <= ULPS[name] + room


@every_function
def test_known_digits(name):
    x, expected = np.array([*KNOWN[name]]), np.array([*KNOWN[name].values()])
    assert errors(LOOPS[name](x), expected).max() <= ULPS[name] + 0.5


@every_function
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_limits(name, dtype):
    low, high = {
        "exp": (0, np.inf),
        "expm1": (-1, np.inf),
        "log": (np.nan, np.inf),
        "log1p": (np.nan, np.inf),
        "tanh": (-1, 1),
        "sigmoid": (0, 1),
        "softplus": (0, np.inf),
        "erf": (-1, 1),
        "normal_cdf": (0, 1),
    }[name]
    largest = np.finfo(dtype).max
    out = LOOPS[name](np.array([-np.inf, np.inf, np.nan, -largest, largest], dtype))
    np.testing.assert_array_equal(out[:4], [low, high, np.nan, low])
    assert (
        (np.isfinite(out[4]) and out[4] > 88)
        if name.startswith("log")
        else (out[4] == (largest if name == "softplus" else high))
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_edges(dtype):
    info = np.finfo(dtype)
    with np.errstate(all="ignore"):
        bounds = np.log(np.array([info.tiny, info.max], np.longdouble)).astype(dtype)
    inside = np.nextafter(bounds, dtype(0))
    assert LOOPS["exp"](inside)[0] >= info.tiny
    assert np.isfinite(LOOPS["exp"](inside)[1])
    beyond = LOOPS["exp"](inside + inside * 4 * info.eps)
    np.testing.assert_array_equal(beyond, [0, np.inf])
    np.testing.assert_array_equal(
        LOOPS["log"](np.array([0.0, -0.0, 1.0], dtype)), [-np.inf] * 2 + [0]
    )
    np.testing.assert_array_equal(LOOPS["log1p"](np.array([-1, -1.5], dtype)), [-np.inf, np.nan])


@pytest.mark.parametrize("name", ["expm1", "log1p", "tanh", "erf"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_zero_keeps_its_sign(name, dtype):
    zeros = np.array([0.0, -0.0], dtype)
    np.testing.assert_array_equal(np.signbit(LOOPS[name](zeros)), [False, True])


@pytest.mark.parametrize("name", ["tanh", "erf"])
def test_odd_functions_are_odd(name):
    x = np.random.default_rng(1).standard_normal(1000)
    np.testing.assert_array_equal(LOOPS[name](-x), -LOOPS[name](x))


def test_normal_parts_are_the_distribution_and_its_derivative():
    @numba.njit
    def parts(x):
        return elementary.normal_parts(x)

    for x in (-3.0, -0.5, 0.0, 2.0):
        cdf, density = parts(x)
        assert cdf == elementary.normal_cdf(x)
        assert density == pytest.approx(math.exp(-x * x / 2) / math.sqrt(2 * math.pi), rel=1e-15)
    cdf, density = parts(np.float32(-3))
    assert np.float32(cdf) == cdf  # computed in float32
    assert np.float32(density) == density


@every_function
def test_python_gets_what_compiled_loops_get(name):
    for x in np.array([0.25, 3.5], np.float32), np.array([0.25, 3.5]):
        np.testing.assert_array_equal([getattr(elementary, name)(v) for v in x], LOOPS[name](x))


def test_a_vector_and_its_remainder_have_the_same_bits():
    x = np.random.default_rng(2).standard_normal(67).astype(np.float32)
    for name in ("tanh", "softplus", "normal_cdf"):
        singly = [LOOPS[name](x[i : i + 1]).item() for i in range(x.size)]
        np.testing.assert_array_equal(LOOPS[name](x), np.array(singly, np.float32))


@every_function
def test_neither_the_c_library_nor_a_branch_is_left(name):
    LOOPS[name](np.ones(1, np.float32))
    for code in LOOPS[name].loop.inspect_llvm().values():
        calls = [line for line in code.splitlines() if "declare" in line]
        known = ("@llvm.", "@NRT_", "@numba_", "@Py", "@_Py")
        assert not [line for line in calls if not any(name in line for name in known)]
