"""Block devices that lie. Device mapper is not needed: a loop device stands on a file that FUSE serves."""
import json
import os

from harness import Wrong, call, collection, pattern

CASES, case = collection()


def on_device(lab, name, *faults, options=()):
    """Builds onto a device with such faults; gives the run."""
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


@case("devices that give back other bytes, lose some, or fail")
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


@case("devices judged after they were written, and what is behind the image")
def judged(lab):
    on_device(lab, "sound", options=["--verify-output"]).ended(0, "verified")
    # Without the comparison of bytes it is the judge that has to see it.
    for name, fault in (("first", "corrupt:1024"), ("middle", "corrupt:2000000"), ("forgetful", "forget:1000000")):
        run = on_device(lab, name, fault, options=["--no-read-back", "--verify-output"])
        if run.code != 8 or "is not what it should be" not in run.errors:
            raise Wrong(f"{name}: exit {run.code}: {run.errors}")
    disk = {"table": "gpt", "partitions": [{"type": "linux", "content": {"kind": "root"}}]}
    with open(lab.path("plan.json"), encoding="utf-8") as file:
        lab.write("disk.json", json.dumps({**json.load(file), "disk": disk}).encode())
    old = lab.write("old", pattern("old", 64 << 20))
    loop = call("losetup", "--find", "--show", old).strip()
    try:
        for plan, note in (("plan.json", ""), ("disk.json", "the disk is longer than what was written to it")):
            lab.run(lab.build(loop, "--device", "--verify-output", plan=plan), timeout=120).ended(0, "verified")
            for arguments in ([], ["--against", lab.path(plan)]):
                run = lab.run([lab.program, "verify", loop, *arguments], timeout=120).ended(0)
                if not arguments and note not in run.errors:
                    raise Wrong(f"{plan}: {note!r} is not said: {run.errors}")
    finally:
        call("losetup", "--detach", loop)
    # In a file the same is no image of ours.
    run = lab.run([lab.program, "verify", old])
    if run.code != 8 or "partition table: its backup is not at the end" not in run.errors:
        raise Wrong(f"a file: exit {run.code}: {run.errors}")
    return "3 kinds of damage; 64 MiB of other bytes under a file system and under a disk"


@case("devices that are too small, mounted, or none")
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
    lab.run(lab.build(lab.path("used"), "--device")).ended(7, "is no block device")
    lab.run(lab.build(lab.path("absent"), "--device")).ended(7, "no such device")
