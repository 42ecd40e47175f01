# cython: language_level=3, freethreading_compatible=True
"""The compiled backend: the fills of simd/, called with the arrays and numbers of the waist."""

from cpython.buffer cimport PyBUF_C_CONTIGUOUS, PyBUF_SIMPLE, PyBUF_WRITABLE
from cpython.buffer cimport PyBuffer_Release, PyObject_GetBuffer
from libc.stdint cimport uint64_t

cdef extern from "simd/fills.h":
    ctypedef struct Parameters:
        double number[8]
        uint64_t n

    ctypedef enum Sink:
        SET, ADD, SET_FLOAT16, ADD_FLOAT16, SET_BFLOAT16, ADD_BFLOAT16

    ctypedef void Fill(
        void *out, uint64_t runs, uint64_t length, uint64_t key, const uint64_t *starts,
        const Parameters *parameters, Sink sink, double scale
    ) noexcept nogil

    ctypedef struct Fills:
        Fill **fill32
        Fill **fill64

    ctypedef struct Level:
        const char *name
        const Fills *fills

    enum:
        MOST_LEVELS
    int fastinit_levels(Level *levels)

# In the order of simd/fills.h.
LAWS = (
    "uniform", "normal", "truncated_central", "truncated_wide", "truncated_far", "sign", "bits",
    "complex_normal", "disk", "truncated_modulus", "permutation",
)
# dtype: (bits of the numbers drawn, sink to replace, sink to add)
DTYPES = {
    "float32": (32, SET, ADD),
    "float64": (64, SET, ADD),
    "float16": (32, SET_FLOAT16, ADD_FLOAT16),
    "bfloat16": (32, SET_BFLOAT16, ADD_BFLOAT16),
    "complex64": (32, SET, None),
    "complex128": (64, SET, None),
    "uint32": (32, SET, None),
    "uint64": (64, SET, None),
    "int64": (64, SET, None),
}

cdef Level levels[MOST_LEVELS]
cdef int count = fastinit_levels(levels)
cdef Level level = levels[0]


def available():
    """Return the names of the instruction sets that this processor can run, the widest first."""
    return tuple(levels[i].name.decode() for i in range(count))


def simd():
    """Return the name of the instruction set in use."""
    return level.name.decode()


def use(name):
    """Use this instruction set from now on, in kernels asked for from now on."""
    global level
    for i in range(count):
        if levels[i].name.decode() == name:
            level = levels[i]
            return
    raise ValueError(f"no instruction set {name!r} here, only {', '.join(available())}")


def kernel(law, dtype, add=False):
    """Return the fill of a law and dtype; see `fastinit.sampling.backend`."""
    bits, replace, increase = DTYPES[dtype]
    if law == "normal" and dtype.startswith("complex"):
        law = "complex_normal"
    cdef int place = LAWS.index(law)
    cdef Kernel result = Kernel.__new__(Kernel)
    result.fill = level.fills.fill32[place] if bits == 32 else level.fills.fill64[place]
    if result.fill == NULL or (add and increase is None):
        raise ValueError(f"no kernel for {law}, {dtype}, add={add}")
    result.sink = increase if add else replace
    return result


cdef class Kernel:
    cdef Fill *fill
    cdef Sink sink

    def __call__(self, out, key, starts, parameters, double scale=0.0):
        cdef Parameters numbers
        cdef Py_buffer target, first
        cdef uint64_t seed = key
        cdef int i = 0
        if len(parameters) == 1 and type(parameters[0]) is int:
            numbers.n = parameters[0]
        else:
            if len(parameters) > 8:
                raise ValueError(f"at most 8 parameters, got {parameters}")
            for number in parameters:
                numbers.number[i] = number
                i += 1
        PyObject_GetBuffer(out, &target, PyBUF_WRITABLE | PyBUF_C_CONTIGUOUS)  # has its shape
        try:
            PyObject_GetBuffer(starts, &first, PyBUF_SIMPLE)
            try:
                if target.ndim != 2 or first.len != 8 * target.shape[0]:
                    raise ValueError("out must have two axes, and starts a number a row")
                with nogil:
                    self.fill(
                        target.buf, target.shape[0], target.shape[1], seed,
                        <const uint64_t *>first.buf, &numbers, self.sink, scale
                    )
            finally:
                PyBuffer_Release(&first)
        finally:
            PyBuffer_Release(&target)
