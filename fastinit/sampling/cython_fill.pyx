# cython: language_level=3, freethreading_compatible=True
"""The compiled backend: the fills of simd/, called with the arrays and numbers of the waist."""

from cpython.buffer cimport PyBUF_C_CONTIGUOUS, PyBUF_SIMPLE, PyBUF_STRIDES, PyBUF_WRITABLE
from cpython.buffer cimport PyBuffer_Release, PyObject_GetBuffer
from cpython.mem cimport PyMem_Free, PyMem_Malloc
from libc.stdint cimport int64_t, uint32_t, uint64_t

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

    ctypedef void Reflectors(
        void *vectors, uint64_t groups, uint64_t rows, void *system
    ) noexcept nogil

    ctypedef void Reflect(
        const void *vectors, uint64_t groups, uint64_t rows, const void *system, void *panel,
        uint64_t width, uint64_t live
    ) noexcept nogil

    ctypedef struct Matrix:
        void *first
        int64_t row_step, column_step
        uint64_t rows, columns, size

    ctypedef void Choose(
        const Matrix *out, uint32_t *lacking, uint64_t left, uint64_t key, uint64_t start
    ) noexcept nogil

    ctypedef struct Fills:
        Fill **fill32
        Fill **fill64
        Reflectors *reflectors32
        Reflectors *reflectors64
        Reflect *reflect32
        Reflect *reflect64
        Choose *choose

    ctypedef struct Level:
        const char *name
        const Fills *fills

    enum:
        MOST_COLUMNS
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
        read(parameters, &numbers)
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


cdef int read(parameters, Parameters *numbers) except -1:
    """Write a law's parameters to where C reads them."""
    cdef int i = 0
    if len(parameters) == 1 and type(parameters[0]) is int:
        numbers.n = parameters[0]
        return 0
    if len(parameters) > 8:
        raise ValueError(f"at most 8 parameters, got {parameters}")
    for number in parameters:
        numbers.number[i] = number
        i += 1
    return 0


cdef struct Tensor:
    Py_buffer out
    Fill *fill
    Sink sink
    uint64_t key
    Parameters parameters


def fill_many(list tensors):
    """Fill whole tensors, each ``(kernel, out, key, parameters)``, and release the GIL once."""
    cdef Py_ssize_t number = 0, i
    cdef uint64_t start = 0
    cdef Kernel kernel
    cdef Tensor *tensor
    cdef Tensor *rows = <Tensor *>PyMem_Malloc(len(tensors) * sizeof(Tensor))
    if rows == NULL:
        raise MemoryError
    try:
        for kernel, out, key, parameters in tensors:
            tensor = &rows[number]
            tensor.fill, tensor.sink, tensor.key = kernel.fill, kernel.sink, key
            read(parameters, &tensor.parameters)
            PyObject_GetBuffer(out, &tensor.out, PyBUF_WRITABLE | PyBUF_C_CONTIGUOUS)
            number += 1
        with nogil:
            for i in range(number):
                tensor = &rows[i]
                tensor.fill(
                    tensor.out.buf, 1, tensor.out.len // tensor.out.itemsize, tensor.key, &start,
                    &tensor.parameters, tensor.sink, 0.0
                )
    finally:
        for i in range(number):
            PyBuffer_Release(&rows[i].out)
        PyMem_Free(rows)


cdef class Arrays:
    """The memory of up to three arrays of float32 or float64 in C order, held while it is used."""

    cdef Py_buffer of[3]
    cdef int count
    cdef bint double

    def __cinit__(self, *arrays):
        for array in arrays:
            PyObject_GetBuffer(array, &self.of[self.count], PyBUF_WRITABLE | PyBUF_C_CONTIGUOUS)
            self.count += 1
        self.double = self.of[0].itemsize == 8

    def __dealloc__(self):
        for i in range(self.count):
            PyBuffer_Release(&self.of[i])

    cdef bint fits(self, int i, Py_ssize_t axes):
        return self.of[i].ndim == axes and self.of[i].itemsize == (8 if self.double else 4)


cdef _check_block(Arrays arrays):
    cdef Py_ssize_t *shape = arrays.of[0].shape
    cdef Py_ssize_t *square = arrays.of[1].shape
    if not (arrays.fits(0, 3) and 1 <= shape[0] <= 4 and shape[2] == 16):
        raise ValueError("vectors must have the shape (1 to 4, rows, 16)")
    if not (arrays.fits(1, 2) and square[0] == square[1] == 16 * shape[0]):
        raise ValueError("system must be square, with a row a vector")


def reflectors(vectors, system):
    """Make a block of reflectors of normal numbers; see simd/reflect.h."""
    cdef Arrays arrays = Arrays(vectors, system)
    _check_block(arrays)
    cdef uint64_t groups = arrays.of[0].shape[0], rows = arrays.of[0].shape[1]
    cdef Reflectors *make = (
        level.fills.reflectors64 if arrays.double else level.fills.reflectors32
    )
    with nogil:
        make(arrays.of[0].buf, groups, rows, arrays.of[1].buf)


def reflect(vectors, system, panel, uint64_t live):
    """Apply a block of reflectors to the columns of a panel; see simd/reflect.h."""
    cdef Arrays arrays = Arrays(vectors, system, panel)
    _check_block(arrays)
    cdef uint64_t groups = arrays.of[0].shape[0], rows = arrays.of[0].shape[1]
    cdef uint64_t width = arrays.of[2].shape[1]
    if not (
        arrays.fits(2, 2) and <uint64_t>arrays.of[2].shape[0] == rows and live <= rows
        and 16 <= width <= 64 and width % 16 == 0
    ):
        raise ValueError("panel must have the rows of vectors, and 16, 32, 48 or 64 columns")
    cdef Reflect *apply = level.fills.reflect64 if arrays.double else level.fills.reflect32
    with nogil:
        apply(
            arrays.of[0].buf, groups, rows, arrays.of[1].buf, arrays.of[2].buf, width, live
        )


def choose(out, lacking, uint64_t left, uint64_t key, uint64_t start):
    """Zero elements of the columns of a matrix; see simd/fills.h."""
    cdef Arrays arrays = Arrays(lacking)
    cdef Py_buffer target
    PyObject_GetBuffer(out, &target, PyBUF_WRITABLE | PyBUF_STRIDES)
    cdef Matrix matrix
    try:
        if not (
            arrays.fits(0, 1) and not arrays.double and target.ndim == 2
            and target.itemsize in (2, 4, 8, 16)
            and 1 <= target.shape[1] == arrays.of[0].shape[0] <= MOST_COLUMNS
            and <uint64_t>target.shape[0] <= left < 2**32
        ):
            raise ValueError(
                f"out must have a column for each that lacks, at most {MOST_COLUMNS}, and at most "
                "`left` rows"
            )
        matrix.first, matrix.size = target.buf, target.itemsize
        matrix.rows, matrix.columns = target.shape[0], target.shape[1]
        matrix.row_step, matrix.column_step = target.strides[0], target.strides[1]
        with nogil:
            level.fills.choose(&matrix, <uint32_t *>arrays.of[0].buf, left, key, start)
    finally:
        PyBuffer_Release(&target)
