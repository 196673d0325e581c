"""Faulty block devices. They are loop devices with a file that FUSE serves, so device mapper is not needed."""
import contextlib
import json
import os
import zlib

from harness import Wrong, call, collection, pattern

CASES, case = collection()


def disk_plan(lab, name, table="gpt", **more):
    """A plan of a disk with the same contents."""
    kind = "linux" if table == "gpt" else "83"
    disk = {"table": table, "partitions": [{"type": kind, "content": {"kind": "root"}}], **more}
    with open(lab.path("plan.json"), encoding="utf-8") as file:
        lab.write(name, json.dumps({**json.load(file), "disk": disk}).encode())


@contextlib.contextmanager
def on_loop(path):
    loop = call("losetup", "--find", "--show", path).strip()
    try:
        yield loop
    finally:
        call("losetup", "--detach", loop)


def on_device(lab, name, *faults, options=()):
    """Builds to a device with these faults. Returns the run."""
    disk = lab.write(f"{name}.disk", b"")
    os.truncate(disk, 64 << 20)
    arguments = ["--file", f"disk={disk}"]
    for fault in faults:
        arguments += ["--fault", f"disk:{fault}"]
    with lab.misbehaving(f"fuse-{name}", *arguments) as at:
        loop = call("losetup", "--find", "--show", os.path.join(at, "disk")).strip()
        try:
            return lab.run([*lab.build(loop, "--device", *options)], timeout=120)
        finally:
            call("losetup", "--detach", loop)


@case("devices that return other bytes, lose some, or fail")
def unfaithful(lab):
    on_device(lab, "sound").ended(0)
    for name, fault, says in (
        ("first", "corrupt:1024", "gives back other bytes"),
        ("middle", "corrupt:2000000", "gives back other bytes"),
        ("forgetful", "forget:1000000", "gives back other bytes"),
        ("unreadable", "read-error:2000000", "input/output error"),
        ("unwritable", "write-error:2000000", "input/output error"),
    ):
        on_device(lab, name, fault).ended(7, says)
    mapper = "there" if os.path.exists("/sys/class/misc/device-mapper") else "not there"
    return f"5 kinds; device mapper is {mapper}, FUSE and a loop device were used"


@case("devices verified after the write, with data after the image")
def judged(lab):
    on_device(lab, "sound", options=["--verify-output"]).ended(0, "verified")
    # Without the comparison of bytes, the checker must find it.
    for name, fault in (("first", "corrupt:1024"), ("middle", "corrupt:2000000"), ("forgetful", "forget:1000000")):
        run = on_device(lab, name, fault, options=["--no-read-back", "--verify-output"])
        if run.code != 8 or "failed its own check" not in run.errors:
            raise Wrong(f"{name}: exit {run.code}: {run.errors}")
    disk_plan(lab, "mbr.json", table="mbr")
    disk_plan(lab, "disk.json")
    disk_plan(lab, "former.json", size="64MiB")
    # Earlier contents: random bytes, and a disk whose table has its backup at the very end.
    old = lab.write("old", pattern("old", 64 << 20))
    lab.run(lab.build(lab.path("former"), plan="former.json")).ended(0)
    longer = "the disk is longer than the image that was written to it"
    for before in (old, lab.path("former")):
        with on_loop(before) as loop:
            for plan, note in (("plan.json", ""), ("mbr.json", ""), ("disk.json", longer)):
                lab.run(lab.build(loop, "--device", "--verify-output", plan=plan), timeout=120).ended(0, "verified")
                for arguments in ([], ["--against", lab.path(plan)], ["--used", "--against", lab.path(plan)]):
                    run = lab.run([lab.program, "verify", loop, *arguments], timeout=120).ended(0)
                    if not arguments and note not in run.errors:
                        raise Wrong(f"{plan}: {note!r} is not said: {run.errors}")
    # In a file the same is no image of ours.
    run = lab.run([lab.program, "verify", old])
    if run.code != 8 or "partition table: its backup is not at the end" not in run.errors:
        raise Wrong(f"a file: exit {run.code}: {run.errors}")
    # An unreadable table on a longer device, whose backup is readable.
    with on_loop(old) as loop:
        with open(loop, "r+b") as file:
            file.seek(512 + 60)
            file.write(b"?")
        run = lab.run([lab.program, "verify", loop])
        if run.code != 8 or "its backup is used" not in run.errors:
            raise Wrong(f"a broken table: exit {run.code}: {run.errors}")
    return "3 kinds of damage; a file system and disks over other bytes and over another disk"


@case("a partition table that refers to itself as its backup")
def own_backup(lab):
    disk_plan(lab, "disk.json")
    image = lab.path("disk.img")
    lab.run(lab.build(image, plan="disk.json")).ended(0)
    with open(image, "r+b") as file:
        file.seek(512)
        header = bytearray(file.read(92))
        header[0x20:0x28] = (1).to_bytes(8, "little")
        header[0x10:0x14] = bytes(4)
        header[0x10:0x14] = zlib.crc32(header).to_bytes(4, "little")
        file.seek(512)
        file.write(header)
        file.seek(-512, os.SEEK_END)
        file.write(bytes(512))
    for arguments in ([], ["--used"]):
        run = lab.run([lab.program, "verify", image, *arguments])
        if run.code != 8 or "the backup of the partition table" not in run.errors:
            raise Wrong(f"exit {run.code}: {run.errors}")


@case("devices that are too small, mounted, or not devices")
def unfit(lab):
    disk = lab.write("disk", b"")
    os.truncate(disk, 1 << 20)
    loop = call("losetup", "--find", "--show", disk).strip()
    try:
        lab.run(lab.build(loop, "--device")).ended(7, "use a larger device")
        if any(open(disk, "rb").read()):
            raise Wrong("something was written to a device that is too small")
    finally:
        call("losetup", "--detach", loop)
    disk = lab.write("used", b"")
    os.truncate(disk, 64 << 20)
    call("mke2fs", "-q", disk)
    loop = call("losetup", "--find", "--show", disk).strip()
    try:
        with lab.mounted("used-at", loop):
            lab.run(lab.build(loop, "--device")).ended(7, "mounted or in use")
    finally:
        call("losetup", "--detach", loop)
    lab.run(lab.build(lab.path("used"), "--device")).ended(7, "is not a block device")
    lab.run(lab.build(lab.path("absent"), "--device")).ended(7, "no such device")
