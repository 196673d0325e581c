"""Devices that are flashed: faulty ones, killed at random moments, counted. They are files, loop devices, and loop devices with a
file that FUSE serves."""
import contextlib
import json
import os
import random
import signal
import subprocess
import time

from devices import disk_plan, on_loop
from harness import Wrong, call, collection, pattern

CASES, case = collection()
# Cases that run alone: they measure time.
ALONE = {"flash of a small change to a device that reads four times as fast as it writes"}
HEAD = 32 << 10


@contextlib.contextmanager
def faulty(lab, name, size, *faults):
    """A loop device with these faults; yields it and the folder of its file."""
    disk = lab.write(f"{name}.disk", b"")
    os.truncate(disk, size)
    arguments = ["--file", f"disk={disk}"]
    for fault in faults:
        arguments += ["--fault", f"disk:{fault}"]
    with lab.misbehaving(f"fuse-{name}", *arguments) as at, on_loop(os.path.join(at, "disk")) as loop:
        yield loop


def flash(lab, source, device, *options):
    return [lab.program, "flash", source, device, "--yes", "--progress", "none", *options]


def first_bytes(path, length):
    with open(path, "rb") as file:
        return file.read(length)


def is_on(image, device):
    """Whether a device begins with an image."""
    return subprocess.run(["cmp", "-s", "-n", str(os.path.getsize(image)), image, device], check=False).returncode == 0


def built(lab, name="image.img", plan="disk.json"):
    disk_plan(lab, plan)
    lab.run(lab.build(lab.path(name), plan=plan)).ended(0)
    return lab.path(name)


@case("flash to devices that return other bytes, lose some, wrap around, or fail")
def unfaithful(lab):
    image = built(lab)
    size = os.path.getsize(image)
    with faulty(lab, "sound", 64 << 20) as loop:
        lab.run(flash(lab, image, loop)).ended(0)
        if not is_on(image, loop):
            raise Wrong("other bytes")
    kinds = (
        ("middle", "corrupt:3000000", "returns other bytes than were written, in the"),
        ("forgetful", "forget:2000000", "returns other bytes than were written, in the"),
        ("wraps", f"wrap:{4 << 20}", "smaller than it claims"),
        ("unreadable", "read-error:3000000", "can't be read back at byte"),
        ("unwritable", "write-error:3000000", "can't be written at byte"),
    )
    for name, fault, says in kinds:
        for source in (image, lab.path("disk.json")):
            with faulty(lab, name, 64 << 20, fault) as loop:
                lab.run(flash(lab, source, loop)).ended(7, says)
                if any(first_bytes(loop, HEAD)):
                    raise Wrong(f"{name}: the device looks whole")
    # What was there is changed by a write that wraps around.
    half = size // 8192 * 4096
    with faulty(lab, "aliased", 64 << 20, f"wrap:{half}") as loop:
        with open(image, "rb") as source, open(loop, "r+b") as device:
            device.write(source.read(half))
        lab.run(flash(lab, image, loop)).ended(7, "smaller than it claims")
    return f"{len(kinds)} kinds"


@case("flash killed at random moments")
def killed(lab):
    image = built(lab)
    bytes_of_image = first_bytes(image, os.path.getsize(image))
    compressed = lab.path("image.img.zst")
    call("zstd", "-q", "-1", image, "-o", compressed)
    device = lab.path("card")
    old = pattern("old", len(bytes_of_image) + 4096)
    moments, interrupted, sources = random.Random(lab.seed), 0, (image, compressed, lab.path("disk.json"))
    begun = time.monotonic()
    lab.write("card", old)
    lab.run(flash(lab, image, device)).ended(0)
    whole = time.monotonic() - begun
    rounds = max(1, lab.kills // 2)
    for round_ in range(rounds):
        if round_ % 4 == 0:
            lab.write("card", old)
        source = sources[round_ % 3]
        program = subprocess.Popen(flash(lab, source, device), stderr=subprocess.DEVNULL)
        # The first run may have been slower than those after it.
        time.sleep(moments.uniform(0, whole * 0.6))
        program.send_signal(moments.choice((signal.SIGKILL, signal.SIGINT, signal.SIGTERM)))
        if program.wait() != 0:
            interrupted += 1
            head = first_bytes(device, HEAD)
            if any(head) and head != old[:HEAD] and not is_on(image, device):
                raise Wrong(f"round {round_}: a card that was written in part looks whole")
        if round_ % 4 == 3:
            lab.run(flash(lab, source, device)).ended(0)
            if not is_on(image, device):
                raise Wrong(f"round {round_}: other bytes after going on")
    if interrupted * 10 < rounds:
        raise Wrong(f"only {interrupted} of {rounds} kills came in time")
    return f"{interrupted} killed of {rounds}"


def sectors_written(loop):
    with open(f"/sys/block/{os.path.basename(loop)}/stat", encoding="ascii") as file:
        return int(file.read().split()[6]) * 512


@case("flash writes what changed, counted by the device")
def counted(lab):
    image = built(lab)
    card = lab.write("card", b"")
    os.truncate(card, 64 << 20)
    report = lab.path("report.json")
    with on_loop(card) as loop:
        lab.run(flash(lab, lab.path("disk.json"), loop, "--report", report)).ended(0)
        if not is_on(image, loop):
            raise Wrong("a plan gives other bytes than its image")
        before = sectors_written(loop)
        lab.run(flash(lab, image, loop, "--report", report)).ended(0, "everything was there already")
        if sectors_written(loop) != before:
            raise Wrong("an equal card was written")
        with open(lab.path("tree/large"), "r+b") as file:
            file.seek(1 << 20)
            file.write(b"changed")
        lab.run(flash(lab, lab.path("disk.json"), loop, "--report", report, "--read-back", "all")).ended(0)
        with open(report, encoding="utf-8") as file:
            told = json.load(file)
        written = sectors_written(loop) - before
        # One block of the file, its inode's time and checksum, and twice the beginning.
        if not 0 < told["written"] <= written <= 8 * 4096 + 3 * HEAD or told["readBack"] < told["bytes"]:
            raise Wrong(f"written by the device: {written}; report: {told}")
        lab.run(lab.build(lab.path("again.img"), plan="disk.json")).ended(0)
        if not is_on(lab.path("again.img"), loop):
            raise Wrong("other bytes after a change")
    return f"{written} bytes after a change"


@case("flash of a small change to a device that reads four times as fast as it writes")
def slow(lab):
    image = built(lab)
    read, write = 40 << 20, 10 << 20
    with faulty(lab, "slow", 64 << 20, f"read-rate:{read}", f"write-rate:{write}") as loop:

        def seconds(command):
            begun = time.monotonic()
            lab.run(command, timeout=120).ended(0)
            return time.monotonic() - begun

        whole = seconds(["dd", f"if={image}", f"of={loop}", "bs=1M", "conv=fsync", "status=none"])
        with open(lab.path("tree/large"), "r+b") as file:
            file.seek(1 << 20)
            file.write(b"changed")
        changed = seconds(flash(lab, lab.path("disk.json"), loop))
        if not is_on(built(lab, "again.img"), loop):
            raise Wrong("other bytes")
    # Measured: 0.34. Reading alone takes 0.25.
    if changed > 0.5 * whole:
        raise Wrong(f"{changed:.2f} s, a whole write {whole:.2f} s")
    return f"{changed / whole:.2f} of a whole write"


@case("flash refuses devices that are in use, too small, or not devices")
def refused(lab):
    image = built(lab)
    small = lab.write("small", bytes(1 << 20))
    lab.run(flash(lab, image, small)).ended(7, "the image needs")
    lab.run(flash(lab, lab.path("disk.json"), small)).ended(7, "the image needs")
    if any(first_bytes(small, 1 << 20)):
        raise Wrong("a device that is too small was written")
    # The length of a compressed image is known at its end only.
    call("zstd", "-q", "-1", image, "-o", lab.path("image.img.zst"))
    lab.run(flash(lab, lab.path("image.img.zst"), small)).ended(7, "the image is longer")
    lab.run(flash(lab, image, lab.write("empty", b""))).ended(7, "has no medium or no length")
    lab.run(flash(lab, image, lab.path("missing"))).ended(7, "does not exist")
    lab.run(flash(lab, image, "/dev/null")).ended(7, "is neither a block device nor a file")
    lab.run(flash(lab, image, image)).ended(2, "is the image itself")
    lab.run(flash(lab, lab.write("cut.zst", first_bytes(lab.path("image.img.zst"), 5000)), lab.write("card", bytes(64 << 20)))).ended(5)
    lab.run(flash(lab, lab.write("x.qcow2", b"QFI\xfb" + bytes(600)), lab.path("card"))).ended(5, "qemu-img convert")
    call("gzip", "--keep", lab.path("x.qcow2"))
    lab.run(flash(lab, lab.path("x.qcow2.gz"), lab.path("card"))).ended(5, "contains a qcow2 image")
    lab.run(flash(lab, lab.path("disk.json"), lab.path("disk.json"))).ended(2)
    lab.run(flash(lab, image, lab.path("card"))[:4] + ["--progress", "none"], stdin=subprocess.DEVNULL).ended(2, "--yes")
    bare = lab.path("bare.img")
    lab.run(lab.build(bare)).ended(0)
    with on_loop(bare) as loop, lab.mounted("at", loop):
        lab.run(flash(lab, image, loop)).ended(7, f"{loop} is mounted at")
    with on_loop(bare) as loop:
        call("blockdev", "--setro", loop)
        lab.run(flash(lab, image, loop)).ended(7, "is write-protected")
        call("blockdev", "--setrw", loop)
    sectors = lab.write("sectors", b"")
    os.truncate(sectors, 64 << 20)
    loop = call("losetup", "--find", "--show", "--sector-size", "4096", sectors).strip()
    try:
        for source in (image, lab.path("disk.json")):
            lab.run(flash(lab, source, loop)).ended(7, "has sectors of 4096 bytes")
    finally:
        call("losetup", "--detach", loop)
    listed = lab.run([lab.program, "flash", "--list", "--json"]).ended(0)
    if json.loads(listed.out)["version"] != 1:
        raise Wrong(listed.out)
