"""Finds the bare file system in the output of a build: raw, compressed, in a disk image."""

import contextlib
import ctypes
import functools
import os
import shutil
import subprocess
import sys
import tempfile
import time


class Unusable(Exception):
    """The check can't be made. The text says why and what to do. It is never a pass."""


def add_arguments(parser):
    parser.add_argument("image", metavar="IMAGE", help="an ext4 image; NAME.zst is decompressed to a temporary file")
    parser.add_argument("--offset", type=int, default=0, help="where the file system begins in a disk image, in bytes")


def copy_sparse(source, target, offset=0):
    """Copies a file from `offset`, and keeps its holes."""
    with open(source, "rb", buffering=0) as old, open(target, "wb", buffering=0) as new:
        size = os.fstat(old.fileno()).st_size
        new.truncate(max(0, size - offset))
        at = offset
        while at < size:
            try:
                at = os.lseek(old.fileno(), at, os.SEEK_DATA)
            except OSError:
                break
            end = os.lseek(old.fileno(), at, os.SEEK_HOLE)
            while at < end:
                moved = os.copy_file_range(old.fileno(), new.fileno(), end - at, at, at - offset)
                if not moved:
                    break
                at += moved


@contextlib.contextmanager
def bare(image, offset=0):
    """A path of a file that begins with the file system's first byte."""
    if not image.endswith(".zst") and not offset:
        if not os.path.exists(image):
            raise Unusable(f"{image}: no such file; give the path of an image")
        yield image
        return
    folder = tempfile.mkdtemp(prefix="snugfs-oracle-")
    try:
        raw = image
        if image.endswith(".zst"):
            raw = os.path.join(folder, "raw.img")
            run(["zstd", "-q", "-d", "--sparse", image, "-o", raw])
        if offset:
            copy_sparse(raw, os.path.join(folder, "bare.img"), offset)
            raw = os.path.join(folder, "bare.img")
        yield raw
    finally:
        shutil.rmtree(folder, ignore_errors=True)


CLONE_NEWNS = 0x20000


@functools.cache
def own_mounts():
    """Moves this process to its own mount namespace. Then nothing stays mounted if it is killed, and no namespace that another
    process creates meanwhile keeps an image mounted."""
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNS):
        raise Unusable(f"a mount namespace: {os.strerror(ctypes.get_errno())}; run it as root")
    run(["mount", "--make-rprivate", "/"])


def released(image, seconds=60):
    """Waits until no loop device uses the image. Only then the kernel has written all of it."""
    end = time.monotonic() + seconds
    while run(["losetup", "-j", image]).stdout:
        if time.monotonic() > end:
            raise Unusable(f"{image}: its loop device stays busy; see losetup -a for who holds it")
        time.sleep(0.01)


@contextlib.contextmanager
def mounted(image, options="ro"):
    """The folder where the image is mounted through a loop device."""
    own_mounts()
    folder = tempfile.mkdtemp(prefix="snugfs-mount-")
    try:
        run(["mount", "-t", "ext4", "-o", f"loop,noatime,{options}", image, folder],
            hint="a loop mount needs root and loop devices; run it where both are there")
        try:
            yield folder
        finally:
            run(["umount", folder])
            released(image)
    finally:
        os.rmdir(folder)


def run(command, hint="", ok=(0,), binary=False, **options):
    """Runs a program with English messages. Returns its result, or raises with the command and its output. The output is text, or
    unchanged bytes."""
    environment = {**os.environ, "LC_ALL": "C", "PATH": os.environ.get("PATH", "") + ":/usr/sbin:/sbin"}
    environment.update(options.pop("env", {}))
    if not binary:
        options |= {"text": True, "errors": "backslashreplace"}
    try:
        result = subprocess.run(
            command, capture_output=True, env=environment, check=False, stdin=subprocess.DEVNULL, **options
        )
    except FileNotFoundError:
        raise Unusable(f"{command[0]}: not installed; run tests/tools/install-test-tools") from None
    if ok is not None and result.returncode not in ok:
        said = (result.stderr or result.stdout).strip() or "nothing"
        said = said.decode(errors="backslashreplace") if isinstance(said, bytes) else said
        raise Unusable(f"{' '.join(command)}: exit status {result.returncode}: {said}" + (f"; {hint}" if hint else ""))
    return result


def verdict(tool, image, problems, note="", limit=20):
    """Prints the first problems and exits: with 0 if there are none, else with 1."""
    for problem in problems[:limit]:
        print(f"{tool}: {problem}")
    if problems:
        more = f", the first {limit} above" if len(problems) > limit else ""
        print(f"{tool}: {image}: FAIL: {len(problems)} differences{more}")
        sys.exit(1)
    print(f"{tool}: {image}: ok{note and ': ' + note}")
    sys.exit(0)


def main(tool, body):
    """Runs a check. If it can't be made, exits with 2."""
    try:
        body()
    except Unusable as reason:
        print(f"{tool}: FAIL: cannot check: {reason}")
        sys.exit(2)
