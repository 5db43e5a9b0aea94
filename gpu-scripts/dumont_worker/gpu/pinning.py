"""Page-locked memory, which a GPU fetches by itself: one copy less where that is the limit."""

import ctypes
from typing import Any

_PORTABLE = 1


def pin(memory: memoryview, driver: Any = None) -> bool:
    """Locks writable memory for the first GPU, for good; False where the driver will not.

    `driver` is NVIDIA's libcuda.
    """
    try:
        cuda = driver or ctypes.CDLL("libcuda.so.1")
    except OSError:
        return False
    handle, context = ctypes.c_int(), ctypes.c_void_p()
    start = ctypes.c_void_p(ctypes.addressof(ctypes.c_char.from_buffer(memory)))
    # The primary context is the one that the library works in.
    return not (
        cuda.cuInit(0)
        or cuda.cuDeviceGet(ctypes.byref(handle), 0)
        or cuda.cuDevicePrimaryCtxRetain(ctypes.byref(context), handle)
        or cuda.cuCtxSetCurrent(context)
        or cuda.cuMemHostRegister_v2(start, ctypes.c_size_t(len(memory)), _PORTABLE)
    )
