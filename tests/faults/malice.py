"""Shared by the tests of malice: runs with limits of time, memory and output, and the check of their messages."""
import json
import os
import re
import subprocess
import tempfile
import time

from harness import UUID, Run, Wrong

# Default limits of a run: seconds, and MiB of memory.
SECONDS, MEBIBYTES = 20, 300


# The line that a stage prints at its end.
STAGE = re.compile(r"snugfs: (plan|closure|scan|verify|layout|write): \d[^;]*, [\d.]+ s")


def plan(**more):
    """A small plan with additional fields."""
    filesystem = {"label": "X", "uuid": UUID, "freeSpace": 0, "growTo": None, **more.pop("filesystem", {})}
    return {"version": 1, "filesystem": filesystem, **more}


def write_plan(lab, **more):
    return lab.write("malice.json", json.dumps(plan(**more)).encode())


# With vfork, the new process shares the memory of this one at first, so Linux counts the peak of this one as its own.
subprocess._USE_VFORK = False


def bounded(lab, command, codes, seconds=SECONDS, mebibytes=MEBIBYTES, stdin=subprocess.DEVNULL):
    """Runs a command. Fails if it takes too much time or memory, has another exit code, or prints other lines than messages."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as errors:
        begun = time.monotonic()
        process = subprocess.Popen(command, stdin=stdin, stdout=out, stderr=errors)
        used = wait(process, seconds, command)
        took = time.monotonic() - begun
        errors.seek(0)
        out.seek(0)
        run = Run(command, process.returncode, out.read(1 << 20), errors.read(8 << 20).decode(errors="replace"))
    peak = used.ru_maxrss // 1024
    result = f"{' '.join(command)[:300]}: exit {run.code}, {peak} MiB, {took:.1f} s: {run.errors[:600]!r}"
    if used.ru_utime + used.ru_stime > seconds:
        raise Wrong(f"more than {seconds} s of processor time: {result}")
    if peak > mebibytes:
        raise Wrong(f"more than {mebibytes} MiB: {result}")
    if run.code not in ((codes,) if isinstance(codes, int) else codes):
        raise Wrong(f"expected {codes}: {result}")
    run.messages = [line for line in run.errors.splitlines() if not STAGE.fullmatch(line) and not line.startswith("snugfs: warning:")]
    if run.code and not run.messages:
        raise Wrong(f"no message: {result}")
    for line in run.messages if run.code else ():
        whole = line.startswith("snugfs: ") and "; " in line and "internal error" not in line
        if not whole or any(ord(letter) < 32 or 127 <= ord(letter) < 160 for letter in line):
            raise Wrong(f"not a message with a remedy: {line[:300]!r}: {result}")
    run.peak = peak
    return run


def wait(process, seconds, command):
    """Waits for a process, up to ten times the limit on a busy machine. Returns the resources that it used."""
    end = time.monotonic() + 10 * seconds
    while True:
        pid, status, used = os.wait4(process.pid, os.WNOHANG)
        if pid:
            process.returncode = os.waitstatus_to_exitcode(status)
            return used
        if time.monotonic() > end:
            process.kill()
            process.wait()
            raise Wrong(f"still running after {10 * seconds} s: {' '.join(command)[:300]}")
        time.sleep(0.002)


def refused(lab, codes, says="", command="size", **bounds):
    """Runs a command on `malice.json`. Fails unless it ends with one message and creates nothing."""
    words = [lab.program, command, lab.path("malice.json"), "--progress", "none"]
    words += ["-o", lab.path("out/x.img")] if command == "build" else []
    run = bounded(lab, words, codes, **bounds)
    lab.nothing_left(lab.path("out"))
    if len(run.messages) != 1 or says not in run.errors:
        raise Wrong(f"expected only {says!r}: {run.errors[:600]!r}")
    return run
