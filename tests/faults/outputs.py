"""Problems with the output of an image."""
import os
import socket
import subprocess

from harness import NOBODY, OLD, Wrong, as_nobody, call, collection, pattern

CASES, case = collection()


def small_disk(lab, *options):
    """A file with an ext4 file system of 48 MiB, made by mke2fs."""
    disk = lab.write("disk", b"")
    os.truncate(disk, 48 << 20)
    call("mke2fs", "-q", "-t", "ext4", *options, disk)
    return disk


def free(at):
    status = os.statvfs(at)
    return status.f_bavail * status.f_frsize


def needed(lab, suffix):
    """The number of bytes that an output needs on a disk."""
    output = lab.path(f"measured{suffix}")
    lab.run(lab.build(output)).ended(0)
    taken = os.stat(output).st_blocks * 512
    os.remove(output)
    return taken


@case("full output disk at every stage")
def full_at_every_stage(lab):
    full = whole = 0
    with lab.mounted("small", "-o", "loop", small_disk(lab, "-m", "0")) as at:
        for suffix in (".img", ".img.zst", ".img.gz", ".img.xz"):
            output, filler = os.path.join(at, f"x{suffix}"), os.path.join(at, "filler")
            taken = needed(lab, suffix)
            for step in range(14):
                with open(filler, "wb") as file:
                    os.posix_fallocate(file.fileno(), 0, max(1, free(at) - taken * step // 12 - 4096))
                run = lab.run(lab.build(output, "--sync", *(["--report", os.path.join(at, "report")] if step % 2 else [])))
                run.ended((0, 7))
                if run.code == 0:
                    lab.is_whole(output)
                    os.remove(output)
                    whole += 1
                else:
                    full += 1
                    if "no space left on device" not in run.errors:
                        raise Wrong(run.errors)
                lab.nothing_left(at, {"filler", "lost+found", *(["report"] if step % 2 and run.code == 0 else [])})
                if os.path.exists(os.path.join(at, "report")):
                    os.remove(os.path.join(at, "report"))
                os.remove(filler)
        # An old output on the full disk stays unchanged.
        with open(filler, "wb") as file:
            os.posix_fallocate(file.fileno(), 0, free(at) - (1 << 20))
        lab.fails(lab.build(os.path.join(at, "old.img")), 7, "no space left", output=os.path.join(at, "old.img"))
    if not (full >= 20 and whole >= 4):
        raise Wrong(f"{full} full and {whole} whole are not every stage")
    return f"{full} times full, {whole} times just enough"


@case("output disk without a free inode")
def no_inode(lab):
    with lab.mounted("small", "-o", "loop", small_disk(lab, "-N", "16")) as at:
        kept = {"lost+found"}
        for number in range(os.statvfs(at).f_ffree):
            open(os.path.join(at, str(number)), "wb").close()
            kept.add(str(number))
        lab.run(lab.build(os.path.join(at, "x.img"))).ended(7, "no space left on device")
        lab.nothing_left(at, kept)


@case("quota of a user and of a project")
def quota(lab):
    disk = small_disk(lab, "-O", "quota,project", "-E", "quotatype=usrquota:prjquota")
    figures = 0
    if subprocess.run(["mount", "-o", "loop,usrquota,prjquota", disk, lab.path("out")], capture_output=True, check=False).returncode:
        return "SKIPPED: this kernel has no quotas"
    call("umount", lab.path("out"))
    with lab.mounted("small", "-o", "loop,usrquota,prjquota", disk) as at:
        os.chmod(at, 0o777)
        folder = os.path.join(at, "project")
        os.mkdir(folder)
        os.chmod(folder, 0o777)
        call("chattr", "-p", "7", "+P", folder)
        for kind, place, prefix in (("-P", folder, []), ("-u", at, as_nobody())):
            who = "7" if kind == "-P" else str(NOBODY)
            for kibibytes in (4, 64, 1024, 3000):
                call("setquota", kind, who, "0", str(kibibytes), "0", "0", at)
                for name in ("x.img", "x.img.zst", "x.img.gz", "x.img.xz"):
                    output = os.path.join(place, name)
                    lab.run([*prefix, *lab.build(output)]).ended(7, "can't be written: ")
                    lab.nothing_left(place, {"lost+found", "project"} if place == at else ())
                    figures += 1
            call("setquota", kind, who, "0", "0", "0", "0", at)
            lab.run([*prefix, *lab.build(os.path.join(place, "x.img"))]).ended(0)
            lab.is_whole(os.path.join(place, "x.img"))
            os.remove(os.path.join(place, "x.img"))
    return f"{figures} builds over a quota"


@case("a folder that is read-only")
def read_only(lab):
    with lab.mounted("ro", "-t", "tmpfs", "-o", "size=1m", "none") as at:
        with open(os.path.join(at, "x.img"), "wb") as file:
            file.write(OLD)
        call("mount", "-o", "remount,ro", at)
        lab.run(lab.build(os.path.join(at, "x.img"))).ended(7, "read-only file system")
        lab.run(lab.build(os.path.join(at, "new.img"))).ended(7, "choose a place that you may write to")
        lab.run(lab.build(os.path.join(lab.path("out/x.img")), "--report", os.path.join(at, "r"))).ended(7, "read-only")
        lab.nothing_left(at, {"x.img"})
        lab.old_untouched(os.path.join(at, "x.img"))
        lab.nothing_left(lab.path("out"))


@case("a folder that others may not write to")
def no_permission(lab):
    output = lab.path("out/x.img")
    for mode in (0o755, 0o555, 0o000):
        os.chmod(lab.path("out"), mode)
        run = lab.run(as_nobody(*lab.build(output))).ended(7, "permission denied")
        if "you may write to" not in run.errors:
            raise Wrong(run.errors)
    os.chmod(lab.path("out"), 0o1777)
    lab.write("out/x.img", OLD)
    os.chmod(output, 0o644)
    # The sticky bit: a file of another user can't be replaced, which only fails at the end.
    lab.run(as_nobody(*lab.build(output))).ended(7, "can't be written: ")
    lab.nothing_left(lab.path("out"), {"x.img"})
    lab.old_untouched(output)


@case("an old output that can't be replaced")
def immutable(lab):
    with lab.mounted("small", "-o", "loop", small_disk(lab)) as at:
        output = os.path.join(at, "x.img")
        with open(output, "wb") as file:
            file.write(OLD)
        call("chattr", "+i", output)
        lab.run(lab.build(output)).ended(7, "operation not permitted")
        call("chattr", "-i", output)
        lab.nothing_left(at, {"x.img", "lost+found"})
        lab.old_untouched(output)


@case("an output that is a directory, a link, a device, a socket, a pipe")
def other_kinds(lab):
    out = lab.path("out")
    os.mkdir(os.path.join(out, "folder"))
    os.symlink("folder", os.path.join(out, "to-folder"))
    os.symlink("ring", os.path.join(out, "ring"))
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(os.path.join(out, "socket"))
    os.mkfifo(os.path.join(out, "pipe"))
    lab.write("out/file", OLD)
    kept = set(os.listdir(out))
    disk = lab.write("disk", b"")
    os.truncate(disk, 48 << 20)
    loop = call("losetup", "--find", "--show", disk).strip()
    try:
        for name, says in (
            ("folder", "is a directory"),
            ("to-folder", "is a directory"),
            ("folder/", "a folder"),
            ("ring", "symlinks form a loop"),
            ("socket", "is a socket"),
            ("absent/x.img", "its folder does not exist"),
            ("file/x.img", "its folder does not exist"),
            ("n" * 256, "name too long"),
            (loop, "add --device"),
        ):
            run = lab.run(lab.build(os.path.join(out, name)))
            run.ended(7, says if name != "folder/" else "")
            lab.nothing_left(out, kept)
        if any(open(disk, "rb").read()):
            raise Wrong("a device was written without --device")
    finally:
        call("losetup", "--detach", loop)
        listening.close()
    # A link stays, and its target is replaced or created.
    for link, target in (("link", "file"), ("dangling", "new")):
        os.symlink(target, os.path.join(out, link))
        lab.run(lab.build(os.path.join(out, link))).ended(0)
        if os.readlink(os.path.join(out, link)) != target:
            raise Wrong("the link was replaced")
        lab.is_whole(lab.path("out", link))
    # A pipe is written to.
    shell = f"cat {out}/pipe > {lab.path('piped.img')} & '{lab.program}' build {lab.path('plan.json')} -o {out}/pipe --progress none; wait"
    lab.run(["sh", "-c", shell]).ended(0)
    lab.is_whole(lab.path("piped.img"))


@case("standard output: full, broken, closed")
def standard_output(lab):
    program, plan = lab.program, lab.path("plan.json")
    for command, code, says in (
        (f"'{program}' build {plan} -o - --progress none > /dev/full", 7, "standard output: can't be written: no space left"),
        (f"'{program}' size {plan} --progress none > /dev/full", 7, "standard output: no space left on device"),
        # The exit code of the first command of the pipe.
        (f"set -o pipefail; '{program}' build {plan} -o - --progress none | head -c 100000 > /dev/null", 7, "broken pipe"),
        (f"set -o pipefail; '{program}' size {plan} --progress none | true", 0, ""),
        (f"'{program}' build {plan} -o {lab.path('out/x.img')} --progress none >&-", 0, ""),
        (f"'{program}' build {plan} -o {lab.path('out/x.img')} --progress none >&- 2>&- <&-", 0, ""),
    ):
        lab.run(["bash", "-c", command]).ended(code, says)
    lab.is_whole(lab.path("out/x.img"))
    # The exit code is the same if the message can't be printed.
    done = lab.run(["bash", "-c", f"'{program}' build {plan} -o {lab.path('absent/x.img')} 2>&-"])
    if done.code != 7:
        raise Wrong(f"exit {done.code} with a closed standard error")


@case("a report that can't be written")
def report(lab):
    output = lab.path("out/x.img")
    lab.write("out/is-folder/x", b"")
    for place, says in ((lab.path("out/is-folder"), "is a directory"), (lab.path("absent/report"), "its folder")):
        lab.run(lab.build(output, "--report", place)).ended(7, says)
        lab.nothing_left(lab.path("out"), {"is-folder"})
    with lab.mounted("full", "-t", "tmpfs", "-o", "size=16k", "none") as at:
        with open(os.path.join(at, "filler"), "wb") as file:
            file.write(pattern(0, os.statvfs(at).f_bavail * 4096))
        lab.run(lab.build(output, "--report", os.path.join(at, "report"))).ended(7, "no space left on device")
        lab.nothing_left(at, {"filler"})
        lab.nothing_left(lab.path("out"), {"is-folder"})
    # A device that refuses all bytes fails at the first byte, when the image is written.
    lab.run(lab.build(output, "--report", "/dev/full")).ended(7, "/dev/full: can't be written: no space left")
    lab.is_whole(output)


@case("an output whose folder is removed, or whose name becomes a folder, during the build")
def moved_folder(lab):
    from sources import while_it_waits

    for change, says in (
        (lambda: os.rmdir(lab.path("out")), "; "),
        (lambda: os.mkdir(lab.path("out/x.img")), "; "),
    ):
        os.makedirs(lab.path("out"), exist_ok=True)
        while_it_waits(lab, lab.path("out/x.img"), change).ended(7, says)
        if os.path.exists(lab.path("out")):
            lab.nothing_left(lab.path("out"), {"x.img"})
            os.rmdir(lab.path("out/x.img"))
