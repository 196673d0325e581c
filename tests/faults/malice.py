"""What tests of malice share: runs whose time, memory and output are bounded, and the judgement of many lines."""
import json
import os
import re
import subprocess
import tempfile
import time

from harness import UUID, Run, Wrong

# What a run may take unless more is said: seconds, and MiB of memory.
SECONDS, MEBIBYTES = 20, 300


# What a stage tells when it is done.
STAGE = re.compile(r"snugfs: (plan|closure|scan|verify|layout|write): \d[^;]*, [\d.]+ s")


def plan(**more):
    """A small plan, with more in it."""
    filesystem = {"label": "X", "uuid": UUID, "freeSpace": 0, "growTo": None, **more.pop("filesystem", {})}
    return {"version": 1, "filesystem": filesystem, **more}


def write_plan(lab, **more):
    return lab.write("malice.json", json.dumps(plan(**more)).encode())


# With vfork, Linux counts the peak of this process, whose memory the new one shares at first, as that of the new one.
subprocess._USE_VFORK = False


def bounded(lab, command, codes, seconds=SECONDS, mebibytes=MEBIBYTES, stdin=subprocess.DEVNULL):
    """Runs, and fails where that takes too long, too much memory, or ends with no code of these and lines of its own."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as errors:
        begun = time.monotonic()
        process = subprocess.Popen(command, stdin=stdin, stdout=out, stderr=errors)
        used = wait(process, seconds, command)
        took = time.monotonic() - begun
        errors.seek(0)
        out.seek(0)
        run = Run(command, process.returncode, out.read(1 << 20), errors.read(8 << 20).decode(errors="replace"))
    peak = used.ru_maxrss // 1024
    told = f"{' '.join(command)[:300]}: exit {run.code}, {peak} MiB, {took:.1f} s: {run.errors[:600]!r}"
    if used.ru_utime + used.ru_stime > seconds:
        raise Wrong(f"more than {seconds} s of the processor: {told}")
    if peak > mebibytes:
        raise Wrong(f"more than {mebibytes} MiB: {told}")
    if run.code not in ((codes,) if isinstance(codes, int) else codes):
        raise Wrong(f"wanted {codes}: {told}")
    run.told = [line for line in run.errors.splitlines() if not STAGE.fullmatch(line) and not line.startswith("snugfs: warning:")]
    if run.code and not run.told:
        raise Wrong(f"not a word: {told}")
    for line in run.told if run.code else ():
        whole = line.startswith("snugfs: ") and "; " in line and "internal error" not in line
        if not whole or any(ord(letter) < 32 or 127 <= ord(letter) < 160 for letter in line):
            raise Wrong(f"not such a line: {line[:300]!r}: {told}")
    run.peak = peak
    return run


def wait(process, seconds, command):
    """Waits, on a busy machine much longer than that, and gives what the process used."""
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
    """Runs a command on `malice.json`; fails unless it is refused in one line and makes nothing."""
    words = [lab.program, command, lab.path("malice.json"), "--progress", "none"]
    words += ["-o", lab.path("out/x.img")] if command == "build" else []
    run = bounded(lab, words, codes, **bounds)
    lab.nothing_left(lab.path("out"))
    if len(run.told) != 1 or says not in run.errors:
        raise Wrong(f"{says!r} and no other line was expected: {run.errors[:600]!r}")
    return run
