#!/usr/bin/env python3
"""Runs a command that can't start threads: clone3, and clone for a thread, fail with EPERM, as in a container whose seccomp
filter is older than clone3.

usage: tests/faults/no_threads.py COMMAND [ARGUMENT...]
"""
import ctypes
import errno
import os
import platform
import struct
import sys

CLONE = {"x86_64": 56, "aarch64": 220}
CLONE3 = 435
CLONE_THREAD = 0x10000
PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2
ALLOW, DENY = 0x7FFF0000, 0x00050000 | errno.EPERM
# Offsets in struct seccomp_data: the number of the system call, and the lower half of its first argument.
NUMBER, FLAGS = 0, 16
LOAD, JUMP_IF_EQUAL, JUMP_IF_SET, RETURN = 0x20, 0x15, 0x45, 0x06


class Program(ctypes.Structure):
    """struct sock_fprog"""

    _fields_ = [("len", ctypes.c_ushort), ("filter", ctypes.c_void_p)]


def deny_threads():
    """Sets the filter for this process and its children. Processes can still be started by clone."""
    steps = [
        (LOAD, 0, 0, NUMBER),
        (JUMP_IF_EQUAL, 4, 0, CLONE3),
        (JUMP_IF_EQUAL, 0, 2, CLONE[platform.machine()]),
        (LOAD, 0, 0, FLAGS),
        (JUMP_IF_SET, 1, 0, CLONE_THREAD),
        (RETURN, 0, 0, ALLOW),
        (RETURN, 0, 0, DENY),
    ]
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *step) for step in steps))
    program = Program(len(steps), ctypes.cast(code, ctypes.c_void_p))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(program)):
        raise OSError(ctypes.get_errno(), "no filter of system calls")


if __name__ == "__main__":
    deny_threads()
    os.execvp(sys.argv[1], sys.argv[1:])
