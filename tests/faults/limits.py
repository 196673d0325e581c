"""Few descriptors, little memory, and wrong clocks."""
import json
import os
import signal
import subprocess
import sys

from harness import Wrong, as_nobody, call, collection, sha256

CASES, case = collection()
# Cases that run alone: other processes of the same user count for the limit of threads.
ALONE = {"fewer threads than requested"}

# The warning of a build whose bytes differ because zstd had no threads.
NO_WORKERS = "no thread can be started, so the compressed bytes differ"


@case("64 descriptors or fewer")
def descriptors(lab):
    deep = lab.path("tree", *["deep"] * 200)
    os.makedirs(deep)
    for number in range(200):
        os.makedirs(lab.path(f"tree/wide/{number}"))
        lab.write(f"tree/wide/{number}/file", b"x" * number)
    lab.references = {}
    for suffix in (".img", ".img.zst", ".img.gz", ".img.xz"):
        output = lab.path(f"out/x{suffix}")
        for threads in ("1", "4"):
            lab.run(["prlimit", "--nofile=64", *lab.build(output, "--threads", threads)]).ended(0)
            lab.is_whole(output)
            os.remove(output)
    for fewest in (5, 6, 7, 8, 9, 10, 12, 16):
        run = lab.run(["prlimit", f"--nofile={fewest}", *lab.build(lab.path("out/x.img"))])
        if run.code not in (0, 1, 5, 7) or not all(line.startswith("snugfs: ") for line in run.lines()):
            raise Wrong(f"{fewest} descriptors: exit {run.code}: {run.errors}")
        lab.nothing_left(lab.path("out"), {"x.img"} if run.code == 0 else ())
        if run.code == 0:
            lab.is_whole(lab.path("out/x.img"))
            os.remove(lab.path("out/x.img"))


@case("fewer threads than requested")
def threads(lab):
    """Root has no limit of threads. Another user has one for all of its processes."""
    with open(lab.path("plan.json"), encoding="utf-8") as file:
        plan = json.load(file)
    for way in ("seekable", "frames"):
        lab.write(f"{way}.json", json.dumps({**plan, "output": {"compression": {"format": "zstd", way: True}}}).encode())
    os.chmod(lab.path("out"), 0o777)
    whole = fewer = 0
    for plan, suffix in (
        ("plan.json", ".img"), ("plan.json", ".img.zst"), ("plan.json", ".img.gz"), ("plan.json", ".img.xz"), ("seekable.json", ".seekable"),
        ("frames.json", ".frames"),
    ):
        output = lab.path(f"out/x{suffix}")
        lab.run(lab.build(output, plan=plan)).ended(0)
        expected = sha256(output)
        os.remove(output)
        for asked, enough in (("1", 7), ("4", 14)):
            for most in range(1, enough):
                limited = ["prlimit", f"--nproc={most}", *lab.build(output, "--threads", asked, plan=plan)]
                run = lab.run(as_nobody(*limited)).ended((0, 1))
                if run.code == 0:
                    if sha256(output) != expected and NO_WORKERS not in run.errors:
                        raise Wrong(f"{suffix}: other bytes with {most} threads")
                    fewer += NO_WORKERS in run.errors
                    os.remove(output)
                    whole += 1
                else:
                    if "thread" not in run.errors:
                        raise Wrong(f"{suffix}: {most} threads: {run.errors}")
                    fewer += 1
                lab.nothing_left(lab.path("out"))
    if not whole or not fewer:
        raise Wrong(f"{whole} builds had enough threads, {fewer} had not: nothing was tried")
    return f"{whole} builds succeeded, {fewer} reported the limit"


@case("no thread at all")
def no_threads(lab):
    """A single thread does everything. Only the single frame of zstd needs workers for its usual bytes."""
    with open(lab.path("plan.json"), encoding="utf-8") as file:
        plan = json.load(file)
    for way in ("seekable", "frames"):
        lab.write(f"{way}.json", json.dumps({**plan, "output": {"compression": {"format": "zstd", way: True}}}).encode())
    deny = [sys.executable, os.path.join(os.path.dirname(os.path.abspath(__file__)), "no_threads.py")]
    for plan, name in (
        ("plan.json", "x.img"), ("plan.json", "x.qcow2"), ("plan.json", "x.simg"), ("plan.json", "x.img.zst"),
        ("plan.json", "x.img.gz"), ("plan.json", "x.img.xz"), ("seekable.json", "x.seekable"), ("frames.json", "x.frames"),
    ):
        output = lab.path("out", name)
        for more in ((), ("--threads", "7", "--report", lab.path("out/report"))):
            build = lab.build(output, *more, plan=plan)
            lab.run(build).ended(0)
            expected = sha256(output)
            decompressed = subprocess.run(["zstd", "-dcq", output], check=True, capture_output=True).stdout if name == "x.img.zst" else None
            os.remove(output)
            run = lab.run([*deny, *build]).ended(0)
            if (NO_WORKERS in run.errors) != (decompressed is not None):
                raise Wrong(f"{name}: {run.errors}")
            if decompressed is None:
                is_same = sha256(output) == expected
            else:
                is_same = subprocess.run(["zstd", "-dcq", output], check=True, capture_output=True).stdout == decompressed
            if not is_same:
                raise Wrong(f"{name}: other bytes without threads")
            os.remove(output)
    # A signal still ends a build without leftovers.
    streamed = subprocess.Popen([*deny, *lab.build("-")], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    streamed.stdout.read(1)
    streamed.send_signal(signal.SIGTERM)
    streamed.stdout.read()
    if streamed.wait() != -signal.SIGTERM:
        raise Wrong(f"SIGTERM: {streamed.returncode}")
    for how in ("none", "bar", "plain"):
        lab.run([*deny, lab.program, "check", lab.path("plan.json"), "--progress", how]).ended(0)
        lab.run([*deny, lab.program, "build", lab.path("plan.json"), "-o", lab.path("out/x.img"), "--progress", how]).ended(0)
    lab.run([*deny, lab.program, "verify", lab.path("out/x.img"), "--against", lab.path("plan.json")]).ended(0)


@case("memory limits")
def memory(lab):
    enough = aborted = 0
    for mebibytes in (24, 32, 48, 64, 96, 128, 256, 512):
        for suffix in (".img", ".img.zst"):
            output = lab.path(f"out/x{suffix}")
            run = lab.run(["prlimit", f"--as={mebibytes << 20}", *lab.build(output, "--threads", "2")])
            if run.code == 0:
                lab.is_whole(output)
                os.remove(output)
                enough += 1
            elif run.code > 0:
                run.ended((1, 5, 7))
                aborted += 1
            else:
                # Without memory there can't be an error: the process aborts with a message.
                if "memory" not in run.errors:
                    raise Wrong(f"{mebibytes} MiB: signal {-run.code}: {run.errors}")
                aborted += 1
            lab.nothing_left(lab.path("out"))
    if not enough:
        raise Wrong("not even 512 MiB are enough")
    return f"{enough} builds had enough, {aborted} ended early"


@case("clock in 1970 and in 2100")
def clocks(lab):
    for date, year in (("1970-01-02 00:00:00", "1970"), ("2100-06-01 00:00:00", "2100")):
        if call("faketime", date, "date", "+%Y").strip() != year:
            raise Wrong("faketime does not work here")
        for suffix in (".img", ".img.zst"):
            output = lab.path(f"out/x{suffix}")
            lab.run(["faketime", date, *lab.build(output)]).ended(0)
            lab.is_whole(output)
            os.remove(output)
