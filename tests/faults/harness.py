"""The environment of every case, a folder with sources and an old output, and the check of the result of a run."""
import contextlib
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
OLD = b"the old output\n"
NOBODY = 65534
UUID = "7f1c6c3e-52a5-4f0e-9a57-0c5d1d1a9b10"


def collection():
    """An empty list of cases, and a decorator that adds a function to it by a name."""
    cases = []

    def case(name):
        def add(function):
            cases.append((name, function))
            return function

        return add

    return cases, case


class Wrong(Exception):
    """A run with a wrong result."""


def sha256(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while part := file.read(1 << 20):
            digest.update(part)
    return digest.hexdigest()


def pattern(seed, size):
    """Bytes without repetitions, which can't be compressed."""
    return hashlib.shake_128(str(seed).encode()).digest(size)


class Lab:
    """A temporary folder for a case, with the program, sources and a plan."""

    def __init__(self, program, references):
        self.folder = tempfile.mkdtemp(prefix="snugfs-faults-")
        os.chmod(self.folder, 0o755)
        self.program = program
        self.references = references
        self.undo = contextlib.ExitStack()
        self.undo.callback(shutil.rmtree, self.folder, ignore_errors=True)

    def path(self, *names):
        return os.path.join(self.folder, *names)

    def write(self, name, content):
        path = self.path(name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(content)
        return path

    def sources(self):
        """Creates a tree with files of many sizes, a plan of it, and an empty folder for outputs."""
        for number in range(40):
            self.write(f"tree/folder {number % 4}/file {number}", pattern(number, number * number * 7))
        self.write("tree/large", pattern("large", 3 << 20))
        os.symlink("large", self.path("tree/link"))
        os.link(self.path("tree/large"), self.path("tree/folder 0/again"))
        self.plan()
        os.mkdir(self.path("out"))
        return self

    def plan(self, name="plan.json", **changes):
        plan = {
            "version": 1,
            "trees": [{"source": "tree", "target": "/"}],
            "filesystem": {"label": "FAULTS", "uuid": UUID, "growTo": "1GiB", **changes},
        }
        self.write(name, json.dumps(plan).encode())

    @contextlib.contextmanager
    def mounted(self, name, *arguments):
        """Mounts a file system at a name; unmounts it at the end."""
        at = self.path(name)
        os.makedirs(at, exist_ok=True)
        call("mount", *arguments, at)
        try:
            yield at
        finally:
            call("umount", at)

    @contextlib.contextmanager
    def misbehaving(self, name, *arguments):
        """Faulty files of fuse_files.py."""
        at = self.path(name)
        os.makedirs(at, exist_ok=True)
        server = subprocess.Popen(
            [sys.executable, os.path.join(HERE, "fuse_files.py"), at, *arguments], stdout=subprocess.PIPE, text=True
        )
        if server.stdout.readline() != "mounted\n":
            raise Wrong("fuse_files.py did not start; /dev/fuse is needed")
        try:
            yield at
        finally:
            call("umount", "--lazy", at)
            server.wait(timeout=20)

    def build(self, output, *more, plan="plan.json"):
        return [self.program, "build", self.path(plan), "-o", output, "--progress", "none", *more]

    def run(self, command, timeout=60, **options):
        done = subprocess.run(command, capture_output=True, timeout=timeout, check=False, **options)
        return Run(command, done.returncode, done.stdout, done.stderr.decode(errors="replace"))

    def reference(self, suffix):
        """The digest of an image without faults. It is the same in every lab, because the sources are."""
        if suffix not in self.references:
            output = self.path(f"reference{suffix}")
            self.run(self.build(output)).ended(0)
            if suffix == ".img":
                check = self.run(["e2fsck", "-fn", output], env={**os.environ, "LC_ALL": "C"})
                if check.code != 0:
                    raise Wrong(f"e2fsck: {check.out.decode()}{check.errors}")
            self.references[suffix] = sha256(output)
            os.remove(output)
        return self.references[suffix]

    def is_whole(self, output):
        suffix = next((s for s in (".img.zst", ".img.gz", ".img.xz") if output.endswith(s)), ".img")
        if sha256(output) != self.reference(suffix):
            raise Wrong(f"{output}: not the bytes of a build without faults")

    def nothing_left(self, folder, keeps=()):
        """Fails unless a folder contains exactly the files to keep."""
        end = time.monotonic() + 10
        while (names := sorted(os.listdir(folder))) != sorted(keeps):
            # libfuse gives a removed file such a name until it is closed. It hears of the end of a process late.
            is_hidden = any(name.startswith(".fuse_hidden") for name in names)
            if not is_hidden or time.monotonic() > end:
                raise Wrong(f"{folder} holds {names}, not {sorted(keeps)}")
            time.sleep(0.01)

    def old_untouched(self, path):
        with open(path, "rb") as file:
            if file.read() != OLD:
                raise Wrong(f"{path}: the old output was changed")

    def fails(self, command, code, says="", output=None, **options):
        """Runs twice, with and without an old output. Checks the exit code, the message, and that there are no leftovers."""
        output = output or self.path("out/x.img")
        folder = os.path.dirname(output)
        for old in (None, OLD):
            keeps = set(os.listdir(folder)) - {os.path.basename(output)}
            if old:
                with open(output, "wb") as file:
                    file.write(old)
                os.chmod(output, 0o666)
                keeps.add(os.path.basename(output))
            self.run(command, **options).ended(code, says)
            self.nothing_left(folder, keeps)
            if old:
                self.old_untouched(output)
                os.remove(output)


class Run:
    def __init__(self, command, code, out, errors):
        self.command, self.code, self.out, self.errors = command, code, out, errors

    def lines(self):
        ours = self.errors.splitlines()
        stages = tuple(f"snugfs: {stage}: " for stage in ("plan", "closure", "scan", "verify", "layout", "write", "compare", "variants"))
        return [line for line in ours if not line.startswith(("@nix ", "snugfs: warning:", *stages))]

    def ended(self, code, says=""):
        """Fails unless the run ended with this code (or one of these) and, after an error, one line."""
        codes = code if isinstance(code, (tuple, list, set)) else (code,)
        result = f"{' '.join(map(str, self.command))}: exit {self.code}, expected {code}: {self.errors[-800:]}"
        if self.code not in codes:
            raise Wrong(result)
        if self.code != 0:
            lines = self.lines()
            if len(lines) != 1 or not lines[0].startswith("snugfs: ") or "; " not in lines[0]:
                raise Wrong(f"not one line with a remedy: {result}")
            if "internal error" in lines[0]:
                raise Wrong(f"a bug: {result}")
        if says not in self.errors:
            raise Wrong(f"{says!r} is missing: {result}")
        return self


def call(*command):
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Wrong(f"{' '.join(command)}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


def as_nobody(*command):
    return ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", *command]
