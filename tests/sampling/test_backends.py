"""The backends agree to the bit: every law, dtype, instruction set and build."""

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import numpy as np
import pytest

from fastinit.sampling import (
    Bits,
    Normal,
    Permutation,
    Sign,
    TruncatedNormal,
    Uniform,
    backend,
    numba_fill,
)
from fastinit.sampling.dtypes import find
from tests.sampling.reflections import BLOCKS, run_block

cython_fill = pytest.importorskip(
    "fastinit.sampling.cython_fill", reason="the compiled extension is not built"
)

KEY = np.uint64(0x299F31D0A4093822)
REALS = ("float32", "float64", "float16", "bfloat16")
COMPLEX = ("complex64", "complex128")
CASES = [
    (distribution, dtype, add)
    for distributions, dtypes, adds in [
        (
            [
                Uniform(-1.0, 1.0),
                Normal(0.1, 1.5),
                TruncatedNormal(0.0, 1.0),
                TruncatedNormal(0.5, 2.0, 0.5, 1.5),
                TruncatedNormal(0.0, 1.0, -3.0, np.inf),
                TruncatedNormal(0.0, 1.0, 1.0, 4.5),
                TruncatedNormal(0.0, 1.0, -9.0, -6.0),
                Sign(0.5),
            ],
            REALS,
            (False, True),
        ),
        (
            [Uniform(-1.0, 1.0), Normal(0.1, 1.5), TruncatedNormal(0.0, 1.0)],
            COMPLEX,
            (False,),
        ),
        ([Bits()], ("uint32", "uint64"), (False,)),
        ([Permutation(n) for n in (1, 3, 16, 1000, 2**33 + 7)], ("int64",), (False,)),
    ]
    for distribution in distributions
    for dtype in dtypes
    for add in adds
]


@pytest.fixture(params=cython_fill.available())
def level(request):
    before = cython_fill.simd()
    cython_fill.use(request.param)
    yield request.param
    cython_fill.use(before)


def plan_of(distribution, dtype):
    """The dtype's row, the law's name and its parameters."""
    row = find(dtype, (dtype,))
    return row, *distribution.plan(dtype)


def blank(row, shape):
    """What there is before a fill: an ordinary number in every format."""
    out = np.empty(shape, row.storage)
    out.view(np.uint8)[...] = 0x3C
    return out


def draw(backend_module, distribution, dtype, add, shape, starts):
    row, law, parameters = plan_of(distribution, dtype)
    out = blank(row, shape)
    scale = (row.compute.type(-0.7),) if add else ()
    starts = np.array(starts, np.uint64)
    backend_module.kernel(law, dtype, add)(out, KEY, starts, parameters, *scale)
    return out


def assert_same_bits(ours, theirs):
    np.testing.assert_array_equal(ours.view(np.uint8), theirs.view(np.uint8))


@pytest.mark.parametrize(("distribution", "dtype", "add"), CASES, ids=str)
def test_instruction_sets_agree_with_numba(distribution, dtype, add, level):
    for start in (0, 5, 2**34 - 77, 2**62 + 11):
        case = (distribution, dtype, add, (1, 1500), [start])
        assert_same_bits(draw(cython_fill, *case), draw(numba_fill, *case))
    case = (distribution, dtype, add, (7, 33), [2**40 + 31 * run for run in range(7)])
    assert_same_bits(draw(cython_fill, *case), draw(numba_fill, *case))


LARGE = 2**22  # bytes, from which stores go past the cache


@pytest.mark.parametrize("offset", [0, 4, 16, 60, 1], ids="{} bytes".format)
@pytest.mark.parametrize("dtype", ["float32", "float64", "uint32", "complex64"])
def test_large_outputs_at_any_address(dtype, offset, level):
    distribution = Bits() if dtype == "uint32" else Normal(0.0, 1.0)
    row = find(dtype, (dtype,))
    shape = (1, LARGE // row.storage.itemsize + 101)
    expected = draw(numba_fill, distribution, dtype, False, shape, [37])
    memory = np.full(expected.nbytes + 128, 0x3C, np.uint8)
    begin = -memory.ctypes.data % 64 + offset
    out = memory[begin : begin + expected.nbytes].view(row.storage).reshape(shape)
    law, parameters = distribution.plan(dtype)
    cython_fill.kernel(law, dtype)(out, KEY, np.array([37], np.uint64), parameters)
    assert_same_bits(out, expected)
    assert (memory[:begin] == 0x3C).all()
    assert (memory[begin + expected.nbytes :] == 0x3C).all()


def test_a_read_only_or_scattered_output_is_refused():
    uniform = cython_fill.kernel("uniform", "float32")
    parameters = (np.float32(0.5), np.float32(2**-32))
    out = np.zeros((2, 8), np.float32)
    with pytest.raises(ValueError, match="not C-contiguous"):
        uniform(out[:, ::2], KEY, np.zeros(2, np.uint64), parameters)
    out.flags.writeable = False
    with pytest.raises(ValueError, match="read-only"):
        uniform(out, KEY, np.zeros(2, np.uint64), parameters)
    assert not out.any()


def test_arguments_that_would_leave_memory_are_refused():
    uniform = cython_fill.kernel("uniform", "float32")
    out, parameters = np.zeros((2, 8), np.float32), (np.float32(0.5), np.float32(2**-32))
    for wrong, starts in ((out, np.zeros(1, np.uint64)), (out[0], np.zeros(8, np.uint64))):
        with pytest.raises(ValueError, match="two axes, and starts a number a row"):
            uniform(wrong, KEY, starts, parameters)
    with pytest.raises(ValueError, match="at most 8 parameters"):
        uniform(out, KEY, np.zeros(2, np.uint64), parameters * 5)
    assert not out.any()


def test_a_kernel_that_does_not_exist_is_refused():
    for case in (("permutation", "float32"), ("normal", "complex64", True)):
        with pytest.raises(ValueError, match="no kernel for"):
            cython_fill.kernel(*case)


def test_an_unknown_instruction_set_is_refused():
    with pytest.raises(ValueError, match=r"no instruction set 'mmx' here, only .*"):
        cython_fill.use("mmx")


# ---------------------------------------------------------------- which backend


def in_a_process(code, **environment):
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


SHOW = "from fastinit.sampling import backend; print(backend.name())"


@pytest.mark.parametrize("name", backend.NAMES)
def test_the_environment_forces_a_backend(name):
    assert in_a_process(SHOW, FASTINIT_BACKEND=name).stdout.strip() == name


def test_the_compiled_backend_serves_where_it_is_built():
    assert in_a_process(SHOW, FASTINIT_BACKEND="").stdout.strip() == "cython"


WITHOUT_THE_EXTENSION = f"import sys; sys.modules['fastinit.sampling.cython_fill'] = None; {SHOW}"


def test_numba_serves_where_the_extension_is_missing():
    assert in_a_process(WITHOUT_THE_EXTENSION, FASTINIT_BACKEND="").stdout.strip() == "numba"


def test_a_missing_extension_that_is_asked_for_is_an_error():
    result = in_a_process(WITHOUT_THE_EXTENSION, FASTINIT_BACKEND="cython")
    assert result.returncode == 1
    assert "BackendError" in result.stderr
    assert "FASTINIT_BACKEND is cython, but the compiled extension is missing" in result.stderr


def test_a_misspelt_backend_is_an_error():
    result = in_a_process(SHOW, FASTINIT_BACKEND="cyton")
    assert result.returncode == 1
    assert "cyton" in result.stderr
    assert "cython" in result.stderr


# ---------------------------------------------------------------- other builds of the same source

SIMD = Path(backend.__file__).parent / "simd"
HERE = Path(__file__).parent
# name: (compiler, flags, what runs the program)
BUILDS = {
    "plain C": (sysconfig.get_config_var("CC") or "cc", ["-DFASTINIT_SCALAR"], []),
    "clang": ("clang", [], []),
    "aarch64": ("aarch64-linux-gnu-gcc", ["-static"], ["qemu-aarch64-static"]),
}
FLAGS = ["-O3", "-std=c11", "-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math"]
FLAGS += ["-Wno-psabi", f"-I{SIMD}"]


@pytest.mark.parametrize("name", BUILDS)
def test_other_compilers_and_processors_give_the_same_bits(name, tmp_path):
    compiler, flags, runner = BUILDS[name]
    compiler = compiler.split()[0]
    missing = [program for program in (compiler, *runner) if shutil.which(program) is None]
    if missing:
        pytest.skip(f"{missing[0]} is not installed")
    if not SIMD.exists():
        pytest.skip("the sources of the extension are not here")
    program = tmp_path / "cases"
    sources = [*sorted(SIMD.glob("*.c")), HERE / "simd_cases.c"]
    command = [compiler, *FLAGS, *flags, *map(str, sources), "-o", str(program), "-lm"]
    subprocess.run(command, check=True, capture_output=True)

    lines, expected = [], []
    for distribution, dtype, add in CASES:
        row, law, parameters = plan_of(distribution, dtype)
        bits, *sinks = cython_fill.DTYPES[dtype]
        if law == "normal" and dtype.startswith("complex"):
            law = "complex_normal"
        n = parameters[0] if law == "permutation" else 0
        numbers = [0.0] * 8 if n else [*map(float, parameters), *[0.0] * 8][:8]
        lines.append(
            f"{cython_fill.LAWS.index(law)} {bits} {sinks[add]} {row.storage.itemsize} 700 "
            f"{KEY} {2**34 - 77} {float(row.compute.type(-0.7)).hex() if add else '0'} {n} "
            + " ".join(number.hex() for number in numbers)
        )
        out = draw(cython_fill, distribution, dtype, add, (1, 700), [2**34 - 77])
        expected.append((f"{distribution}, {dtype}, {add}", out))
    for groups, rows, width in BLOCKS:
        for bits in (32, 64):
            _, parameters = Normal(0.0, 1.0).plan(f"float{bits}")
            numbers = " ".join(float(number).hex() for number in [*parameters, *[0] * 8][:8])
            lines.append(
                f"{len(cython_fill.LAWS)} {bits} {width} 0 {rows} {KEY} 0 0 {groups} {numbers}"
            )
            block = run_block(cython_fill, f"float{bits}", groups, rows, width)
            out = np.concatenate([part.reshape(-1) for part in block])
            expected.append((f"reflectors {groups, rows, width}, {bits}", out))
    result = subprocess.run(
        [*runner, str(program)], input="\n".join(lines).encode(), capture_output=True, check=True
    )
    drawn = np.frombuffer(result.stdout, np.uint8)
    once = sum(out.nbytes for _, out in expected)
    levels, left = divmod(drawn.size, once)
    assert levels >= 1
    assert left == 0
    at = 0
    for what, out in expected:
        for _ in range(levels):
            theirs = drawn[at : at + out.nbytes]
            np.testing.assert_array_equal(theirs, out.reshape(-1).view(np.uint8), what)
            at += out.nbytes
