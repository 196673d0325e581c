"""Measures time, memory and written bytes of a command."""

import os
import subprocess
import tempfile
import time


class Failed(Exception):
    """A contender that failed, so its figures are useless."""


def touch_memory(folder):
    """Uses half of the free memory once and frees it.

    The host of a virtual machine may provide memory only when it is first used. That takes several times as long as what is
    measured here, and only the first run would be slow.
    """
    with open("/proc/meminfo", encoding="ascii") as lines:
        available = next(int(line.split()[1]) << 10 for line in lines if line.startswith("MemAvailable"))
    path = os.path.join(folder, "touch")
    zeros = bytes(1 << 20)
    try:
        with open(path, "wb", buffering=0) as file:
            for _ in range(available // 2 >> 20):
                file.write(zeros)
    except OSError:
        # As much as fits on the disk.
        pass
    os.unlink(path)


def drop_caches():
    """Forgets all files, directories and inodes that are in memory."""
    os.sync()
    with open("/proc/sys/vm/drop_caches", "w", encoding="ascii") as file:
        file.write("3\n")


def warm(names):
    """Reads all files of a list into memory."""
    command = ["sh", "-c", 'xargs -0 -a "$0" cat > /dev/null', names]
    subprocess.run(command, check=True)


# The peak memory of a command includes that of the process before `exec`. So a small program starts it, not this one.
MEMORY = ["/usr/bin/time", "-q", "-f", "%M", "-o"]


def memory(path):
    """The peak memory in bytes that MEMORY wrote to a file."""
    with open(path, encoding="ascii") as file:
        return int(file.read()) * 1024


def run(command, environment, stdout=subprocess.DEVNULL):
    """Wall and processor seconds, peak memory and written bytes of a command and its child processes."""
    with tempfile.NamedTemporaryFile() as peak:
        figures = timed([*MEMORY, peak.name, *command], environment, stdout)
        return {**figures, "memory": memory(peak.name)}


def timed(command, environment, stdout):
    # Otherwise, data of earlier runs would be flushed during this one.
    os.sync()
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=stdout, stderr=subprocess.PIPE, env=environment)
    said = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.perf_counter() - start
    if process.returncode:
        raise Failed(f"{' '.join(command)}: exit status {process.returncode}: {said.decode(errors='replace')[-2000:]}")
    return {
        "seconds": seconds, "cpu": usage.ru_utime + usage.ru_stime, "user": usage.ru_utime,
        # The kernel counts blocks of 512 bytes when they become dirty.
        "written": usage.ru_oublock * 512,
    }
