"""The call by which a compiled JAX program has fastinit fill its own memory.

XLA calls `_handle` with pointers to the key's words and to the buffer of the result, and to a
string that says what to draw: nothing is copied, no JAX array is made within the call, and the
program holds no reference to this process, so that JAX may cache it on disk.

The structures are those of XLA's foreign function interface, which XLA keeps compatible: each
carries its own size, and grows at its end only. The names are those of ``xla/ffi/api/c_api.h``.
"""

from __future__ import annotations

import ctypes
import math
import sys
from ctypes import POINTER, Structure, c_char_p, c_int, c_int64, c_size_t, c_uint32, c_void_p
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from fastinit.jax.draws import read

__all__ = ["TARGET", "available"]

TARGET = "fastinit_fill"
API_VERSION = (0, 1)
METADATA_EXTENSION = 1
EXECUTE = 3
INTERNAL = 13
HUGE_PAGE = 2**21
MADV_HUGEPAGE = 14
# XLA_FFI_DataType: the dtypes that are drawn, and that of the words of a key.
DTYPES: dict[int, np.dtype[Any]] = {
    8: jnp.dtype("uint32"),
    10: jnp.dtype("float16"),
    11: jnp.dtype("float32"),
    12: jnp.dtype("float64"),
    15: jnp.dtype("complex64"),
    16: jnp.dtype("bfloat16"),
    18: jnp.dtype("complex128"),
}


class Extension(Structure):
    """XLA_FFI_Extension_Base."""

    _fields_ = (("struct_size", c_size_t), ("type", c_int), ("next", c_void_p))


class Version(Structure):
    """XLA_FFI_Api_Version."""

    _fields_ = (
        ("struct_size", c_size_t),
        ("extension", c_void_p),
        ("major", c_int),
        ("minor", c_int),
    )


class Metadata(Structure):
    """XLA_FFI_Metadata, as far as it is written."""

    _fields_ = (("struct_size", c_size_t), ("version", Version), ("traits", c_uint32))


class MetadataExtension(Structure):
    """XLA_FFI_Metadata_Extension."""

    _fields_ = (("base", Extension), ("metadata", POINTER(Metadata)))


class Buffer(Structure):
    """XLA_FFI_Buffer."""

    _fields_ = (
        ("struct_size", c_size_t),
        ("extension", c_void_p),
        ("dtype", c_int),
        ("data", c_void_p),
        ("rank", c_int64),
        ("dims", POINTER(c_int64)),
    )


class Buffers(Structure):
    """XLA_FFI_Args and XLA_FFI_Rets."""

    _fields_ = (
        ("struct_size", c_size_t),
        ("extension", c_void_p),
        ("size", c_int64),
        ("types", c_void_p),
        ("items", POINTER(POINTER(Buffer))),
    )


class Span(Structure):
    """XLA_FFI_ByteSpan: a string."""

    _fields_ = (("data", c_void_p), ("size", c_size_t))


class Attributes(Structure):
    """XLA_FFI_Attrs; all that are used here are strings."""

    _fields_ = (
        ("struct_size", c_size_t),
        ("extension", c_void_p),
        ("size", c_int64),
        ("types", c_void_p),
        ("names", c_void_p),
        ("items", POINTER(POINTER(Span))),
    )


class ErrorArguments(Structure):
    """XLA_FFI_Error_Create_Args."""

    _fields_ = (
        ("struct_size", c_size_t),
        ("extension", c_void_p),
        ("message", c_char_p),
        ("code", c_int),
    )


class Api(Structure):
    """XLA_FFI_Api, as far as it is used."""

    _fields_ = (
        ("struct_size", c_size_t),
        ("extension", c_void_p),
        ("version", Version),
        ("internal", c_void_p),
        ("create_error", ctypes.CFUNCTYPE(c_void_p, POINTER(ErrorArguments))),
    )


class CallFrame(Structure):
    """XLA_FFI_CallFrame, as far as it is used."""

    _fields_ = (
        ("struct_size", c_size_t),
        ("extension", POINTER(Extension)),
        ("api", POINTER(Api)),
        ("context", c_void_p),
        ("stage", c_int),
        ("arguments", Buffers),
        ("results", Buffers),
        ("attributes", Attributes),
    )


def _handle(pointer: Any) -> Any:
    frame = pointer.contents
    try:
        if frame.extension and frame.extension.contents.type == METADATA_EXTENSION:
            extension = ctypes.cast(frame.extension, POINTER(MetadataExtension)).contents
            version = extension.metadata.contents.version
            version.major, version.minor = API_VERSION
        elif frame.stage == EXECUTE:
            if frame.struct_size < ctypes.sizeof(CallFrame):
                raise RuntimeError("XLA's call frame is smaller than fastinit knows it")
            _execute(frame)
    except BaseException as error:
        message = f"{type(error).__name__}: {error}".encode()
        arguments = ErrorArguments(ctypes.sizeof(ErrorArguments), None, message, INTERNAL)
        return frame.api.contents.create_error(ctypes.byref(arguments))
    return None


# Kept for as long as XLA may call it.
HANDLER = ctypes.CFUNCTYPE(c_void_p, POINTER(CallFrame))(_handle)


def _execute(frame: CallFrame) -> None:
    out = _array(frame.results.items[0].contents)
    arguments = frame.arguments
    given = [_array(arguments.items[i].contents) for i in range(arguments.size)]
    text = frame.attributes.items[0].contents
    _advise(out)
    read(ctypes.string_at(text.data, text.size).decode())(out, *given)


def _array(buffer: Buffer) -> NDArray[Any]:
    """Return the memory of a buffer as an array."""
    shape, dtype = tuple(buffer.dims[: buffer.rank]), DTYPES[buffer.dtype]
    size = math.prod(shape) * dtype.itemsize
    if not size:
        return np.empty(shape, dtype)
    memory = (ctypes.c_char * size).from_address(buffer.data)
    return np.frombuffer(memory, dtype).reshape(shape)


def _advise(out: NDArray[Any]) -> None:
    """Ask for huge pages, as NumPy does for its own arrays: half the time of a large fill."""
    if sys.platform == "linux" and out.nbytes >= 2 * HUGE_PAGE:
        first = -(-out.ctypes.data // HUGE_PAGE) * HUGE_PAGE
        last = (out.ctypes.data + out.nbytes) // HUGE_PAGE * HUGE_PAGE
        ctypes.CDLL(None).madvise(c_void_p(first), c_size_t(last - first), MADV_HUGEPAGE)


def _register() -> bool:
    """Register the call with XLA, and say whether it is there."""
    try:
        capsule = jax.ffi.pycapsule(ctypes.cast(HANDLER, c_void_p).value)
        jax.ffi.register_ffi_target(TARGET, capsule, platform="cpu")
    except Exception:  # an XLA that no longer knows this version: JAX's own callbacks remain
        return False
    return True


available = _register()
