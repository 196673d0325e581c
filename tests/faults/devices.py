"""Block devices that lie. Device mapper is not needed: a loop device stands on a file that FUSE serves."""
import os

from harness import Wrong, call, collection

CASES, case = collection()


def on_device(lab, name, *faults):
    """Builds onto a device with such faults; gives the run."""
    disk = lab.write(f"{name}.disk", b"")
    os.truncate(disk, 64 << 20)
    arguments = ["--file", f"disk={disk}"]
    for fault in faults:
        arguments += ["--fault", f"disk:{fault}"]
    with lab.misbehaving(f"fuse-{name}", *arguments) as at:
        loop = call("losetup", "--find", "--show", os.path.join(at, "disk")).strip()
        try:
            return lab.run([*lab.build(loop, "--device")], timeout=120)
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
