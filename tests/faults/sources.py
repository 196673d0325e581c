"""Faulty sources: they can't be read, or change between scan and copy."""
import os
import shutil
import subprocess

from harness import OLD, Run, Wrong, as_nobody, collection, pattern

CASES, case = collection()


def while_it_waits(lab, output, change):
    """Builds, and changes sources between scan and copy.

    strace stops the program in the first system call of the write stage: the one that opens the output's folder for a new file.
    """
    opens = ["-P", os.path.dirname(output), "-e", "trace=openat", "-e", "inject=openat:delay_enter=600000"]
    trace = ["strace", "-f", "-qq", "-o", "/dev/null", *opens]
    command = [*trace, *lab.build(output), "--threads", "1", "--progress", "nix"]
    command = [word for index, word in enumerate(command) if command[index - 1 : index + 1] != ["--progress", "none"]]
    command.remove("--progress")
    program = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    lines = []
    for line in program.stderr:
        lines.append(line)
        if '"phase":"write"' in line:
            change()
            break
    lines.append(program.stderr.read())
    out = program.stdout.read()
    return Run(command, program.wait(timeout=60), out, "".join(lines))


def rewritten_in_place(path):
    """Writes other bytes of the same length, and restores the old times."""
    times = os.stat(path)
    with open(path, "r+b") as file:
        file.write(pattern("other", times.st_size))
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns + 1))


def replaced(path, by):
    os.rename(path, path + ".moved")
    by(path)


def longer(path):
    with open(path, "ab") as file:
        file.write(b"more")


def other_file(path):
    with open(path, "wb") as file:
        file.write(pattern("other", os.stat(path + ".moved").st_size))


CHANGES = (
    ("grown", longer, "changed"),
    ("truncated to nothing", lambda path: os.truncate(path, 0), ""),
    ("truncated in the middle", lambda path: os.truncate(path, 100), ""),
    ("rewritten in place", rewritten_in_place, "changed"),
    ("replaced by another file", lambda path: replaced(path, other_file), "changed"),
    ("replaced by a symlink to itself", lambda path: replaced(path, lambda at: os.symlink(at + ".moved", at)), "replaced"),
    ("replaced by a pipe", lambda path: replaced(path, os.mkfifo), ""),
    ("replaced by a directory", lambda path: replaced(path, os.mkdir), ""),
    ("removed", os.remove, ""),
)


@case("a source that changes between scan and copy")
def changes(lab):
    shutil.copytree(lab.path("tree"), lab.path("kept"), symlinks=True)
    tried = 0
    for suffix in (".img", ".img.zst"):
        for name, change, says in CHANGES:
            for file in ("large", "folder 1/file 13") if suffix == ".img" else ("folder 3/file 39",):
                shutil.rmtree(lab.path("tree"))
                shutil.copytree(lab.path("kept"), lab.path("tree"), symlinks=True)
                output = lab.write(f"out/x{suffix}", OLD)
                try:
                    run = while_it_waits(lab, output, lambda: change(lab.path("tree", file)))
                    run.ended(5, lab.path("tree", file))
                    lab.nothing_left(lab.path("out"), {f"x{suffix}"})
                    lab.old_untouched(output)
                except Wrong as wrong:
                    raise Wrong(f"{file} {name}: {wrong}") from wrong
                if says and says not in run.errors:
                    raise Wrong(f"{name}: {run.errors}")
                os.remove(output)
                tried += 1
    return f"{tried} changes"


@case("a folder that is replaced by a symlink between scan and copy")
def swapped_folder(lab):
    secret = lab.write("outside/file 13", pattern("secret", 13 * 13 * 7))
    times = os.stat(lab.path("tree/folder 1/file 13"))
    os.utime(secret, ns=(times.st_atime_ns, times.st_mtime_ns))

    def swap():
        os.rename(lab.path("tree/folder 1"), lab.path("moved"))
        os.symlink(lab.path("outside"), lab.path("tree/folder 1"))

    while_it_waits(lab, lab.path("out/x.img"), swap).ended(5, "folder 1")
    lab.nothing_left(lab.path("out"))


@case("a source that can't be read: a faulty disk (FUSE)")
def unsound_disk(lab):
    tried = 0
    with lab.misbehaving(
        "bad", "--file", f"early={lab.path('tree/large')}", "--fault", "early:read-error:0",
    ):
        for suffix in ("img", "img.zst"):
            tried += bad_source(lab, "bad/early", suffix, "input/output error")
    with lab.misbehaving("late", "--file", f"f={lab.path('tree/large')}", "--fault", "f:read-error:3000000"):
        for suffix in ("img", "img.zst"):
            tried += bad_source(lab, "late/f", suffix, "input/output error")
    with lab.misbehaving("ends", "--file", f"f={lab.path('tree/large')}", "--fault", "f:ends:1500000"):
        for suffix in ("img", "img.zst"):
            tried += bad_source(lab, "ends/f", suffix, "became shorter while it was read")
    return f"{tried} builds"


def bad_source(lab, source, suffix, says):
    lab.write(
        "bad.json",
        b'{"version": 1, "filesystem": {"label": "X", "uuid": "7f1c6c3e-52a5-4f0e-9a57-0c5d1d1a9b10"}, '
        b'"entries": {"/f": {"type": "file", "source": "%s"}}}' % source.encode(),
    )
    output = lab.path(f"out/x.{suffix}")
    lab.fails(lab.build(output, plan="bad.json"), 5, says, output=output)
    return 2


@case("a source without read permission")
def forbidden(lab):
    os.chmod(lab.path("out"), 0o777)
    os.chmod(lab.path("plan.json"), 0o644)
    tried = 0
    for name in ("tree/folder 2/file 38", "tree/folder 1", "tree", "plan.json"):
        path = lab.path(name)
        mode = os.stat(path).st_mode
        os.chmod(path, 0)
        output = lab.path("out/x.img")
        for command in (lab.build(output), [lab.program, "check", lab.path("plan.json"), "--progress", "none"]):
            if name == "tree/folder 2/file 38" and "check" in command:
                continue  # check opens files only to verify hashes
            run = lab.run(as_nobody(*command)).ended(5, "permission denied")
            if name not in run.errors:
                raise Wrong(f"{name} is not named: {run.errors}")
            lab.nothing_left(lab.path("out"))
            tried += 1
        os.chmod(path, mode)
    return f"{tried} runs"
