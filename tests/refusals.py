"""A process to which the kernel gives no other process, or no thread, as where memory or a limit runs out.

It is a filter of its system calls (seccomp), which needs no rights, holds for good and for its children.
"""

from __future__ import annotations

import ctypes
import errno
import platform

_FORKS = {"x86_64": (57, 56), "aarch64": (-1, 220)}  # numbers of fork and clone
_CLONE3 = 435
_CLONE_THREAD = 0x10000
_LOAD, _EQUAL, _HAS, _RETURN = 0x20, 0x15, 0x45, 0x06
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000
_NO_NEW_PRIVILEGES, _SET_SECCOMP, _FILTER = 38, 22, 2


class _Instruction(ctypes.Structure):
    _fields_ = (
        ("code", ctypes.c_uint16),
        ("yes", ctypes.c_uint8),
        ("no", ctypes.c_uint8),
        ("k", ctypes.c_uint32),
    )


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_uint16), ("filter", ctypes.POINTER(_Instruction)))


def refuse_forks() -> None:
    """From now on a fork of this process fails with ENOMEM; threads can be started."""
    _refuse(forks=_ERRNO | errno.ENOMEM, threads=_ALLOW)


def refuse_threads() -> None:
    """From now on no thread of this process can be started: EAGAIN, as over a limit of processes."""
    _refuse(forks=_ALLOW, threads=_ERRNO | errno.EAGAIN)


def _refuse(*, forks: int, threads: int) -> None:
    fork, clone = _FORKS[platform.machine()]
    lines = (  # of a comparison: how many lines to leave out where it holds, and where it does not
        (_LOAD, 0, 0, 0),  # the call's number
        (_EQUAL, 7, 0, _CLONE3),  # its flags lie in memory; without it clone is called
        (_EQUAL, 3, 0, fork & 0xFFFFFFFF),
        (_EQUAL, 0, 3, clone),
        (_LOAD, 0, 0, 16),  # its flags
        (_HAS, 2, 0, _CLONE_THREAD),
        (_RETURN, 0, 0, forks),
        (_RETURN, 0, 0, _ALLOW),
        (_RETURN, 0, 0, threads),
        (_RETURN, 0, 0, _ERRNO | errno.ENOSYS),
    )
    instructions = (_Instruction * len(lines))(*(_Instruction(*one) for one in lines))
    program = _Program(len(lines), instructions)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0) or libc.prctl(
        _SET_SECCOMP, _FILTER, ctypes.byref(program), 0, 0
    ):
        raise OSError(ctypes.get_errno(), "no filter of system calls can be set")
