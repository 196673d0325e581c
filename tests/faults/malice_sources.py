"""Malicious sources: files that are replaced during the scan, that never end, that have very many names or levels."""
import ctypes
import os
import random
import socket
import stat
import subprocess
import threading
import time

from harness import Wrong, call, pattern
from malice import bounded, refused, write_plan
from malice_plans import HASH

CASES = []
SECRET = b"THIS-IS-OUTSIDE-AND-SECRET"
# Number of scans while files are swapped.
ROUNDS = 60
EXCHANGE = 2  # RENAME_EXCHANGE
LIBC = ctypes.CDLL(None, use_errno=True)


def case(name):
    def add(function):
        CASES.append((name, function))
        return function

    return add


def exchange(one, other):
    """Swaps two names atomically, so neither is ever missing."""
    if LIBC.renameat2(-100, os.fsencode(one), -100, os.fsencode(other), EXCHANGE) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), one)


def build(lab, codes=0, **bounds):
    output = lab.path("out/x.img")
    return bounded(lab, lab.build(output, plan="malice.json"), codes, **bounds), output


def looked_at(lab, output, *words):
    return lab.run([lab.program, "inspect", output, *words]).ended(0).out


def sound(output):
    done = subprocess.run(["e2fsck", "-fn", output], capture_output=True, check=False)
    if done.returncode != 0:
        raise Wrong(f"e2fsck: {done.stdout.decode()}{done.stderr.decode()}")


class Swapper(threading.Thread):
    """Swaps pairs of names again and again."""

    def __init__(self, pairs):
        super().__init__()
        self.pairs, self.swaps, self.over = pairs, 0, False

    def run(self):
        while not self.over:
            for one, other in self.pairs:
                exchange(one, other)
                self.swaps += 1
            # Otherwise, hardly any build would succeed.
            time.sleep(random.uniform(0, 0.008))

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.over = True
        self.join()


def same_times(path):
    """Gives files outside the lengths and times of those inside, so that they differ only by their paths."""
    os.utime(path, (1, 1))


def swapped_sources(lab, top):
    """Creates folders and files below `top`, and for each a symlink that leads outside. Returns the pairs."""
    pairs = []
    for number in range(6):
        for place in ("deep/er" if number % 2 else "flat",):
            inner = f"{top}/{number}/{place}"
            lab.write(f"{inner}/name/file", b"INSIDE".ljust(len(SECRET), b"."))
            same_times(lab.path(f"{inner}/name/file"))
            lab.write(f"outside/{number}/file", SECRET)
            same_times(lab.path(f"outside/{number}/file"))
            lab.write(f"outside/{number}/outside-name", SECRET)
            os.symlink(lab.path(f"outside/{number}"), lab.path(f"{inner}/swap"))
            pairs.append((lab.path(f"{inner}/name"), lab.path(f"{inner}/swap")))
            lab.write(f"{inner}/single", b"INSIDE".ljust(len(SECRET), b"."))
            same_times(lab.path(f"{inner}/single"))
            os.symlink(lab.path(f"outside/{number}/file"), lab.path(f"{inner}/swap-single"))
            pairs.append((lab.path(f"{inner}/single"), lab.path(f"{inner}/swap-single")))
        for crowd in range(40):
            lab.write(f"{top}/{number}/crowd-{crowd}", b"c" * crowd)
    return pairs


def raced(lab, pairs):
    """Builds while names are swapped, and checks that the image contains nothing from outside."""
    ends = {0: 0, 4: 0, 5: 0}
    with Swapper(pairs) as swapper:
        for round_ in range(ROUNDS):
            suffix = (".img", ".img.zst")[round_ % 2]
            output = lab.path(f"out/x{suffix}")
            run = bounded(lab, lab.build(output, "--threads", str(1 + round_ % 3), plan="malice.json"), tuple(ends))
            ends[run.code] += 1
            if run.code != 0:
                lab.nothing_left(lab.path("out"))
                continue
            if suffix == ".img.zst":
                call("zstd", "-q", "-d", "--rm", output, "-o", lab.path("out/x.img"))
            output = lab.path("out/x.img")
            with open(output, "rb") as image:
                bytes_ = image.read()
            # The image has the targets of symlinks, but not the files that they lead to.
            if SECRET in bytes_ or b"outside-name" in bytes_:
                raise Wrong(f"round {round_}: what is outside is in the image")
            sound(output)
            os.remove(output)
    if swapper.swaps < 10 * ROUNDS:
        raise Wrong(f"only {swapper.swaps} swaps")
    if ends[0] == 0 or ends[0] == ROUNDS:
        raise Wrong(f"the race was never {'lost' if ends[0] else 'won'}: {ends}")
    return f"{ROUNDS} builds during {swapper.swaps} swaps: {ends[0]} whole, {ROUNDS - ends[0]} refused"


@case("malice: files replaced by symlinks while a tree is scanned and copied")
def race_in_tree(lab):
    pairs = swapped_sources(lab, "raced")
    write_plan(lab, trees=[{"source": "raced", "target": "/", "xattrs": ["user.*"]}])
    return raced(lab, pairs)


@case("malice: files replaced by symlinks while a store is scanned and copied")
def race_in_store(lab):
    pairs = swapped_sources(lab, "store")
    records = ""
    for number in range(6):
        name = "0" * 31 + f"{number}-a"
        os.rename(lab.path(f"store/{number}"), lab.path(f"store/{name}"))
        pairs = [tuple(path.replace(f"/store/{number}/", f"/store/{name}/") for path in pair) for pair in pairs]
        records += f"/nix/store/{name}\n{HASH}\n1\n\n0\n"
    lab.write("registration", records.encode())
    write_plan(lab, closure={"registration": "registration", "sourceDir": "store", "verify": "none"})
    return raced(lab, pairs)


@case("malice: a store path that is a symlink out of the store")
def symlink_in_store(lab):
    name = "0" * 32 + "-a"
    lab.write("outside/file", SECRET)
    os.mkdir(lab.path("store"))
    os.symlink(lab.path("outside"), lab.path("store", name))
    lab.write("registration", f"/nix/store/{name}\n{HASH}\n96\n\n0\n".encode())
    write_plan(lab, closure={"registration": "registration", "sourceDir": "store"})
    refused(lab, 4, "are registered", command="check")
    write_plan(lab, closure={"registration": "registration", "sourceDir": "store", "verify": "none"})
    _, output = build(lab)
    if SECRET in open(output, "rb").read() or b"->" not in looked_at(lab, output, "ls", "-l", "/nix/store"):
        raise Wrong("the store path is not the symlink that it is")


@case("malice: pipes, sockets and devices where files are expected")
def special(lab):
    os.mkfifo(lab.path("tree/pipe"))
    server = socket.socket(socket.AF_UNIX)
    os.chdir(lab.path("tree"))
    server.bind("socket")
    os.chdir("/")
    server.close()
    os.mknod(lab.path("tree/zero"), stat.S_IFCHR | 0o666, os.makedev(1, 5))
    os.mknod(lab.path("tree/disk"), stat.S_IFBLK | 0o600, os.makedev(7, 200))
    write_plan(lab, trees=[{"source": "tree", "target": "/"}])
    _, output = build(lab)
    sound(output)
    kinds = {line[:1] for line in looked_at(lab, output, "ls", "-l", "/").splitlines()}
    if not {b"p", b"s", b"c", b"b"} <= kinds:
        raise Wrong(f"only {kinds}")
    os.remove(output)
    for name in ("pipe", "socket", "zero", "disk", "."):
        write_plan(lab, entries={"/x": {"type": "file", "source": f"tree/{name}"}})
        refused(lab, (3, 5), "is not a regular file", command="build")
    path = "0" * 32 + "-a"
    os.makedirs(lab.path("store", path))
    lab.write("registration", f"/nix/store/{path}\n{HASH}\n1\n\n0\n".encode())
    write_plan(lab, closure={"registration": "registration", "sourceDir": "store"})
    for name in ("pipe", "socket", "zero", "disk"):
        os.rename(lab.path("tree", name), lab.path("store", path, name))
        refused(lab, (4, 5), "neither file, directory nor symlink", command="check")
        os.remove(lab.path("store", path, name))


@case("malice: files with a wrong length (procfs, sysfs)")
def lengths_that_lie(lab):
    tried = 0
    for source in ("/proc/version", "/proc/self/status", "/proc/kallsyms", "/sys/kernel/mm/transparent_hugepage/enabled", "/sys/kernel/uevent_seqnum"):
        if not os.path.exists(source):
            continue
        write_plan(lab, entries={"/x": {"type": "file", "source": source}})
        refused(lab, 5, source, command="build")
        tried += 1
    for source in ("/proc/self/net", "/proc/self/fdinfo", "/proc/self/task"):
        write_plan(lab, trees=[{"source": source, "target": "/"}])
        run, _ = build(lab, (0, 5))
        if run.code == 0:
            raise Wrong(f"{source} was taken for a folder of files")
        tried += 1
    lab.nothing_left(lab.path("out"))
    return f"{tried} sources"


@case("malice: setuid programs and names with control characters")
def names_and_modes(lab):
    terrible = b"\x1b[2J\x1b]0;owned\x07\nsnugfs: all is well\r\x9b\xff\xfe"
    for name in (terrible, b"\xff" * 255, b"..." + b" " * 20, b"-rf", "\u202egnp.exe".encode()):
        with open(os.path.join(os.fsencode(lab.path("tree")), name), "wb") as file:
            file.write(b"x")
        os.chmod(os.path.join(os.fsencode(lab.path("tree")), name), 0o6755)
    write_plan(lab, trees=[{"source": "tree", "target": "/"}])
    run, output = build(lab)
    if "setuid" not in run.errors:
        raise Wrong(f"no warning of setuid: {run.errors}")
    sound(output)
    listed = looked_at(lab, output, "ls", "-l", "/")
    stats = [line for line in listed.splitlines() if line[:10].lower().count(b"s") and line[:1] == b"-"]
    if stats:
        raise Wrong(f"setuid in the image: {stats}")
    texts = [run.errors.encode(), listed, looked_at(lab, output, "ls", "/")]
    # Two sources with the same name, and a name without a file: both are reported.
    trees = [{"source": "tree", "target": "/"}, {"source": "tree", "target": "/"}]
    write_plan(lab, trees=trees)
    texts.append(bounded(lab, [lab.program, "check", lab.path("malice.json")], 3).errors.encode())
    entries = {terrible.decode("latin1"): {"type": "file", terrible.decode("latin1"): terrible.decode("latin1")}}
    write_plan(lab, entries=entries)
    texts.append(bounded(lab, [lab.program, "check", lab.path("malice.json")], 3).errors.encode())
    done = lab.run([lab.program, "check", terrible])
    texts.append(done.errors.encode())
    for text in texts:
        if any(byte in b"\x1b\x07\r\x9b\x00" for byte in text.replace(b"\xc2\x9b", b"")) or b"\nsnugfs: all is well" in text:
            raise Wrong(f"a name speaks to the terminal: {text!r}")


@case("malice: sparse files of 8 EiB")
def endless_holes(lab):
    with lab.mounted("big", "-t", "tmpfs", "none") as at:
        for name in ("a", "b", "c"):
            with open(os.path.join(at, name), "wb") as file:
                file.truncate(2**63 - 1)
        root = {"type": "linux", "content": {"kind": "root"}}
        tried = 0
        for more in (
            {"trees": [{"source": "big", "target": "/"}]},
            {"entries": {"/x": {"type": "file", "source": "big/a"}}},
            {"disk": {"table": "gpt", "partitions": [root, {"type": "linux", "content": {"kind": "raw", "source": "big/a"}}]}},
            {"disk": {"table": "gpt", "partitions": [root] + [{"type": "linux", "content": {"kind": "raw", "source": f"big/{n}"}} for n in "abc"]}},
            {"disk": {"table": "gpt", "partitions": [root], "blobs": [{"source": "big/a", "offset": "1GiB"}]}},
            {"disk": {"table": "gpt", "partitions": [root], "blobs": [{"source": f"big/{n}", "offset": f"{i}GiB"} for i, n in enumerate("abc", 1)]}},
            {"disk": {"table": "gpt", "partitions": [root, {"type": "esp", "size": "64MiB", "content": {"kind": "fat", "source": "big"}}]}},
        ):
            write_plan(lab, **more)
            for command in ("size", "check", "build"):
                words = [lab.program, command, lab.path("malice.json"), "--progress", "none"]
                words += ["-o", lab.path("out/x.img")] if command == "build" else []
                # The size of a raw partition of 8 EiB can be computed, but it fits on no output.
                run = bounded(lab, words, (0, 3, 6, 7) if "disk" in more else 6)
                if command == "build" and run.code == 0:
                    raise Wrong(f"{more} was built")
                tried += 1
        path = "0" * 32 + "-a"
        os.mkdir(os.path.join(at, path))
        for name in ("a", "b", "c"):
            os.rename(os.path.join(at, name), os.path.join(at, path, name))
        lab.write("registration", f"/nix/store/{path}\n{HASH}\n1\n\n0\n".encode())
        write_plan(lab, closure={"registration": "registration", "sourceDir": "big"})
        refused(lab, 4, "are registered", command="check")
        write_plan(lab, closure={"registration": "registration", "sourceDir": "big", "verify": "none"})
        refused(lab, 6, command="check")
        lab.nothing_left(lab.path("out"))
        return f"{tried + 2} runs"


@case("malice: 66,000 hard links to one file")
def many_links(lab):
    with lab.mounted("links", "-t", "tmpfs", "-o", "nr_inodes=300k", "none") as at:
        with open(os.path.join(at, "0"), "wb") as file:
            file.write(pattern("link", 1 << 20))
        for number in range(1, 66_000):
            os.link(os.path.join(at, "0"), os.path.join(at, str(number)))
        write_plan(lab, trees=[{"source": "links", "target": "/"}])
        run, output = build(lab)
        size = os.stat(output).st_size
        if size > 24 << 20:
            raise Wrong(f"{size} bytes for a file of a MiB")
        sound(output)
        return f"{size >> 20} MiB of image, {run.peak} MiB of memory"


@case("malice: 100,000 directories deep")
def deep(lab):
    depth = 100_000
    with lab.mounted("deep", "-t", "tmpfs", "-o", "nr_inodes=300k", "none") as at:
        here = os.getcwd()
        os.chdir(at)
        for _ in range(depth):
            os.mkdir("d")
            os.chdir("d")
        with open("bottom", "wb") as file:
            file.write(b"bottom")
        os.chdir(here)
        write_plan(lab, trees=[{"source": "deep", "target": "/"}], filesystem={"bytesPerInode": "4KiB"})
        run, output = build(lab, (0, 6), seconds=60, mebibytes=600)
        if run.code == 0:
            bounded(lab, [lab.program, "verify", output], 0, seconds=60, mebibytes=600)
        return f"exit {run.code}, {run.peak} MiB of memory, image of {os.stat(output).st_size >> 20 if run.code == 0 else 0} MiB"


@case("malice: compressed images that are a thousand times larger")
def bombs(lab):
    peaks = []
    for name, source in (("zeros", "head -c 1G /dev/zero"), ("letters", "yes | head -c 48M")):
        for program in ("zstd", "gzip", "xz"):
            bomb = lab.path(f"{name}.{program}")
            call("bash", "-c", f"{source} | {program} -q -1 -c > {bomb}")
            for command in ("inspect", "verify"):
                run = bounded(lab, [lab.program, command, bomb], (0, 1, 2, 3, 5, 7, 8), seconds=60, mebibytes=150)
                peaks.append(run.peak)
    return f"{len(peaks)} runs, at most {max(peaks)} MiB"
