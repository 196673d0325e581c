"""Malicious plans and closures: every size, number, depth or length results in a message and an exit code."""
import json
import os
import subprocess
import threading

from harness import Wrong
from malice import bounded, plan, refused, write_plan

CASES = []

PATH = "/nix/store/00000000000000000000000000000000-a"
HASH = "sha256:" + "0" * 52


def case(name):
    def add(function):
        CASES.append((name, function))
        return function

    return add


NUMBERS = (
    0, 1, 511, 512, 4095, 4096, 65535, 65536, 2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**53 + 1, 2**63 - 512, 2**63 - 1, 2**63,
    2**64 - 4096, 2**64 - 1, 2**64, 10**30, -1, -(2**63), -(2**63) - 1, 0.5, 1e30, -1e308, True, None, "", "0", "-1", "1e3",
    "0777", "16TiB", "16777215TiB", "16777216TiB", "18446744073709551615", "18446744073709551615KiB", "9" * 400, [], {}, "NaN",
)


def with_partition(table="gpt", **more):
    kind = "linux" if table == "gpt" else "83"
    root = {"type": kind, "content": {"kind": "root"}}
    return plan(disk={"table": table, "partitions": [root, {"type": kind, **more}]})


def with_disk(**more):
    root = {"type": "83", "content": {"kind": "root"}}
    return plan(disk={"table": "mbr", "partitions": [root], **more})


def with_entry(**entry):
    return plan(entries={"/x": entry})


FIELDS = {
    "version": lambda value: {**plan(), "version": value},
    "freeSpace": lambda value: plan(filesystem={"freeSpace": value}),
    "freeInodes": lambda value: plan(filesystem={"freeInodes": value}),
    "size": lambda value: plan(filesystem={"size": value}),
    "growTo": lambda value: plan(filesystem={"growTo": value}),
    "bytesPerInode": lambda value: plan(filesystem={"bytesPerInode": value}),
    "journalSize": lambda value: plan(filesystem={"journalSize": value}),
    "reservedPercent": lambda value: plan(filesystem={"reservedPercent": value}),
    "timestamp": lambda value: plan(filesystem={"timestamp": value}),
    "all sizes": lambda value: plan(
        filesystem={"freeSpace": value, "freeInodes": value, "growTo": value, "bytesPerInode": value, "journalSize": value}
    ),
    "uid and gid": lambda value: with_entry(type="fifo", uid=value, gid=value),
    "mode": lambda value: with_entry(type="fifo", mode=value),
    "major": lambda value: with_entry(type="block", major=value, minor=0),
    "minor": lambda value: with_entry(type="character", major=0, minor=value),
    "level": lambda value: plan(output={"compression": {"format": "zstd", "level": value}}),
    "disk.size": lambda value: with_disk(size=value),
    "disk.id": lambda value: with_disk(id=value),
    "offset": lambda value: with_disk(blobs=[{"source": "one", "offset": value}]),
    "start in gpt": lambda value: with_partition(start=value),
    "start in mbr": lambda value: with_partition("mbr", start=value),
    "size in gpt": lambda value: with_partition(size=value),
    "size in mbr": lambda value: with_partition("mbr", size=value),
    "start and size": lambda value: with_partition(start=value, size=value),
    "size of fat": lambda value: with_partition("gpt", size=value, content={"kind": "fat", "source": "empty"}),
}


@case("malice: every number of a plan at its limits")
def numbers(lab):
    lab.write("one", b"1")
    os.mkdir(lab.path("empty"))
    taken = refused_ = peak = 0
    for name, make in FIELDS.items():
        for value in NUMBERS:
            lab.write("malice.json", json.dumps(make(value)).encode())
            try:
                run = bounded(lab, [lab.program, "size", lab.path("malice.json")], (0, 3, 6), seconds=10)
            except Wrong as wrong:
                raise Wrong(f"{name}: {str(value)[:40]}: {wrong}") from wrong
            taken, refused_, peak = taken + (run.code == 0), refused_ + (run.code != 0), max(peak, run.peak)
    if taken < 100 or refused_ < 400:
        raise Wrong(f"{taken} taken and {refused_} refused: one side was hardly reached")
    return f"{taken} taken, {refused_} refused, at most {peak} MiB"


MEBIBYTE = 1 << 20
LARGE = {
    "a text": (b'{"version": 1, "filesystem": {"label": "', b"a" * MEBIBYTE, b'"}}'),
    "a path": (b'{"version": 1, "entries": {"', b"/a" * (MEBIBYTE // 2), b'": {"type": "directory"}}}'),
    "numbers": (b'{"version": 1, "trees": [', b"0," * (MEBIBYTE // 2), b"0]}"),
    "objects": (b'{"version": 1, "trees": [', b"{}," * (MEBIBYTE // 3), b"{}]}"),
    "keys": (b'{"version": 1, ', b'"a":0,' * (MEBIBYTE // 6), b'"a":0}'),
    "depth": (b"", b"[" * MEBIBYTE, b""),
    "blanks": (b"", b" " * MEBIBYTE, b"[]"),
    "no JSON": (b"", b"\0" * MEBIBYTE, b""),
}


def large(lab, name, begin, middle, end):
    with open(lab.path(name), "wb") as file:
        file.write(begin)
        for _ in range(200 * MEBIBYTE // len(middle)):
            file.write(middle)
        file.write(end)


@case("malice: plans of 200 MB")
def large_plans(lab):
    peak = 0
    for name, parts in LARGE.items():
        large(lab, "malice.json", *parts)
        try:
            run = bounded(lab, [lab.program, "check", lab.path("malice.json")], 3, seconds=30, mebibytes=1300)
        except Wrong as wrong:
            raise Wrong(f"{name}: {wrong}") from wrong
        if len(run.errors) > 4 * MEBIBYTE:
            raise Wrong(f"{name}: {len(run.errors)} bytes of errors")
        peak = max(peak, run.peak)
    return f"{len(LARGE)} kinds, at most {peak} MiB"


@case("malice: graphs and registrations of 200 MB")
def large_closures(lab):
    peak = 0
    for field, name, parts in (
        ("graph", "numbers", (b"[", b"0," * (MEBIBYTE // 2), b"0]")),
        ("graph", "lists", (b"[", b"[]," * (MEBIBYTE // 3), b"0]")),
        ("graph", "depth", (b"", b'{"a":' * (MEBIBYTE // 5), b"")),
        ("registration", "one line", (b"", b"/nix/store/" * (MEBIBYTE // 11), b"")),
        ("registration", "blank lines", (b"", b"\n" * MEBIBYTE, b"")),
        ("registration", "no text", (b"", b"\0\n" * (MEBIBYTE // 2), b"")),
    ):
        large(lab, "large", *parts)
        write_plan(lab, closure={field: "large"})
        try:
            run = bounded(lab, [lab.program, "check", lab.path("malice.json")], 4, seconds=30, mebibytes=1300)
        except Wrong as wrong:
            raise Wrong(f"{field}, {name}: {wrong}") from wrong
        if len(run.errors) > 4 * MEBIBYTE:
            raise Wrong(f"{field}, {name}: {len(run.errors)} bytes of errors")
        peak = max(peak, run.peak)
    return f"6 kinds, at most {peak} MiB"


@case("malice: JSON of depth 10,000")
def deep(lab):
    for begin, end in ((b"[", b"]"), (b'{"a":', b"}")):
        text = begin * 10_000 + b"0" + end * 10_000
        lab.write("malice.json", text)
        refused(lab, 3, "levels of nesting")
        lab.write("malice.json", b'{"plan": ' + text + b"}")
        refused(lab, 3, "levels of nesting")
        lab.write("graph.json", text)
        write_plan(lab, closure={"graph": "graph.json"})
        refused(lab, 4, "recursion limit")


@case("malice: 100,000 problems are reported in a limited number of lines")
def many_problems(lab):
    shown = {}
    lab.write("malice.json", json.dumps(plan(entries={f"x{n}": 0 for n in range(100_000)})).encode())
    shown["entries"] = bounded(lab, [lab.program, "check", lab.path("malice.json")], 3)
    lab.write("malice.json", json.dumps(plan(trees=[{"source": f"none-{n}", "target": "/"} for n in range(100_000)])).encode())
    shown["sources"] = bounded(lab, [lab.program, "check", lab.path("malice.json")], 5)
    records = [f"{PATH}{n}\n{HASH}\n1\n\n1\n{PATH}-gone-{n}\n" for n in range(100_000)]
    lab.write("registration", "".join(records).encode())
    write_plan(lab, closure={"registration": "registration"})
    shown["references"] = bounded(lab, [lab.program, "check", lab.path("malice.json")], 4)
    lab.write("registration", "".join(f"{PATH}{n}\n{HASH}\n1\n\n0\n" for n in range(100_000)).encode())
    write_plan(lab, closure={"registration": "registration", "sourceDir": "out"})
    shown["store paths"] = bounded(lab, [lab.program, "check", lab.path("malice.json")], 4)
    for name, run in shown.items():
        if not 2 <= len(run.messages) <= 1100:
            raise Wrong(f"{name}: {len(run.messages)} lines")
    return ", ".join(f"{name}: {len(run.messages)} lines" for name, run in shown.items())


@case("malice: input that never ends")
def endless(lab):
    yes = subprocess.Popen(["yes", '{"version": 1,'], stdout=subprocess.PIPE)
    try:
        run = bounded(lab, [lab.program, "build", "-", "-o", lab.path("out/x.img")], 3, stdin=yes.stdout, mebibytes=700)
    finally:
        yes.kill()
        yes.stdout.close()
        yes.wait()
    peaks = [run.peak]
    for device in ("/dev/zero", "/dev/urandom"):
        peaks.append(bounded(lab, [lab.program, "check", device], 3, mebibytes=700).peak)
    for closure in ({"registration": "/dev/zero"}, {"graph": "/dev/zero"}, {"registration": "one", "storePaths": "/dev/zero"}):
        lab.write("one", b"")
        write_plan(lab, closure=closure)
        peaks.append(refused(lab, 4, "too many for", mebibytes=700).peak)
    return f"{len(peaks)} runs, at most {max(peaks)} MiB"


@case("malice: a plan that is a folder, a pipe, a socket, a loop")
def plans_of_other_kinds(lab):
    bounded(lab, [lab.program, "check", lab.folder], 5)
    os.symlink("loop", lab.path("loop"))
    bounded(lab, [lab.program, "check", lab.path("loop")], 5)
    subprocess.run(["python3", "-c", f"import socket; socket.socket(socket.AF_UNIX).bind({lab.path('s')!r})"], check=True)
    bounded(lab, [lab.program, "check", lab.path("s")], 5)
    os.mkfifo(lab.path("pipe"))

    def feed():
        with open(lab.path("pipe"), "wb") as pipe:
            pipe.write(json.dumps(plan()).encode())

    feeder = threading.Thread(target=feed)
    feeder.start()
    bounded(lab, [lab.program, "check", lab.path("pipe")], 0)
    feeder.join()


@case("malice: many partitions and blobs, at large offsets")
def disks(lab):
    lab.write("one", b"1")
    empty = {"type": "linux", "size": 512}
    root = {"type": "linux", "content": {"kind": "root"}}

    def disk(**more):
        lab.write("malice.json", json.dumps(plan(disk={"table": "gpt", "partitions": [root], **more})).encode())

    disk(partitions=[root] + [empty] * 127)
    bounded(lab, [lab.program, "size", lab.path("malice.json")], 0)
    disk(partitions=[root] + [empty] * 100_000)
    refused(lab, 3, "128")
    disk(blobs=[{"source": "one", "offset": (1 << 30) + 2 * n} for n in range(20_000)])
    bounded(lab, [lab.program, "size", lab.path("malice.json")], 0)
    disk(blobs=[{"source": "one", "offset": 1 << 30}] * 20_000)
    refused(lab, 3, "overlap")
    for offset in (2**63, 2**64 - 2, 2**64 - 1):
        disk(blobs=[{"source": "one", "offset": offset}])
        refused(lab, (3, 6, 7), command="build")
    for start in (2**63, 2**64 - 4096, 2**64 - 512):
        for size in (512, 2**63, 2**64 - 512):
            disk(partitions=[root, {**empty, "start": start, "size": size}])
            refused(lab, (3, 6, 7), command="build")


@case("malice: paths of a plan that lead outside, and files in the way")
def paths(lab):
    os.mkdir(lab.path("outside"))
    os.symlink(lab.path("outside"), lab.path("tree/way"))
    for entry in ("/way/x", "/way/../x", "/../x", "/way/./x", "//x", "/link/x"):
        write_plan(lab, trees=[{"source": "tree", "target": "/"}], entries={entry: {"type": "file", "text": "x"}})
        refused(lab, 3, "plan.", command="check")
    for target in ("/..", "/a/../b", "..", "/way"):
        trees = [{"source": "tree", "target": "/"}, {"source": "tree", "target": target}]
        write_plan(lab, trees=trees)
        refused(lab, 3, "plan.trees", command="check")
    lab.nothing_left(lab.path("outside"))
    for target in ("a" * 4095, "/" * 4095):
        write_plan(lab, entries={"/x": {"type": "symlink", "target": target}})
        bounded(lab, [lab.program, "check", lab.path("malice.json")], 0)
    write_plan(lab, entries={"/x": {"type": "symlink", "target": "a" * 4096}})
    refused(lab, 3, "4095")
    write_plan(lab, entries={"/" + "ä" * 127 + "a": {"type": "fifo"}})
    bounded(lab, [lab.program, "check", lab.path("malice.json")], 0)
    write_plan(lab, entries={"/" + "ä" * 128: {"type": "fifo"}})
    refused(lab, 3, "255")


@case("malice: registrations with wrong data")
def registrations(lab):
    def registered(text, codes, says=""):
        lab.write("registration", text)
        write_plan(lab, closure={"registration": "registration", "sourceDir": "store", "verify": "size"})
        refused(lab, codes, says, command="check")

    os.makedirs(lab.path("store", os.path.basename(PATH)))
    head = f"{PATH}\n{HASH}\n".encode()
    for count in (b"1000000000", b"18446744073709551615", b"99999999999999999999"):
        registered(head + b"1\n\n" + count + b"\n" + f"{PATH}\n".encode(), 4)
    for size in (b"18446744073709551616", b"-1", b"1e3", b"0x10", b" 1"):
        registered(head + size + b"\n\n0\n", 4, "registration")
    registered(head + b"18446744073709551615\n\n0\n", 4, "18446744073709551615 are registered")
    registered(head + b"1\n\n0\n" + head + b"2\n\n0\n", 4, "differs from the one at")
    for name in ("../../../etc-a", "a/../b", "a\x1b[2Jb", "a\nb", ".", "a" * 300):
        text = f"/nix/store/{'0' * 32}-{name}\n{HASH}\n1\n\n0\n"
        lab.write("registration", text.encode())
        bounded(lab, [lab.program, "check", lab.path("malice.json")], 4)
    # References to itself and in a ring are valid.
    other = PATH + "b"
    os.makedirs(lab.path("store", os.path.basename(other)))
    ring = f"{PATH}\n{HASH}\n96\n\n2\n{PATH}\n{other}\n{other}\n{HASH}\n96\n\n1\n{PATH}\n"
    lab.write("registration", ring.encode())
    bounded(lab, [lab.program, "check", lab.path("malice.json")], 0)
