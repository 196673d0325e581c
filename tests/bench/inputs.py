"""The inputs of the benchmark. Each is a folder with a plan.json, created once and kept."""

import json
import os
import subprocess

HERE = os.path.dirname(os.path.abspath(__file__))
MAKE_CLOSURE = os.path.join(os.path.dirname(HERE), "closure", "make-closure")
MIB = 1 << 20


def closure(folder):
    """About 1.4 GiB in 48,000 files of Debian packages, as a Nix closure."""
    subprocess.run([MAKE_CLOSURE, folder], check=True, stdout=subprocess.DEVNULL)


def small(folder):
    """300,000 files of 0 to 8 KiB in 300 folders."""
    many(tree(folder), 300, 1_000, lambda number: b"%06d\n" % number * (number * 7919 % 1170))


def flat(folder):
    """120,000 files of 8 bytes in one folder."""
    many(tree(folder), 1, 120_000, lambda number: b"%07d\n" % number)


def big(folder):
    """Three files of 1 GiB that can't be compressed."""
    top = tree(folder)
    for number in range(3):
        with open(os.path.join(top, f"{number}"), "wb") as file:
            for _ in range(1024):
                file.write(os.urandom(MIB))


def million(folder):
    """A million empty files in 1,000 folders; its first tenth and hundredth have plans of their own."""
    top = tree(folder)
    many(top, 1_000, 1_000, lambda number: b"")
    for parts in (10, 100):
        trees = [{"source": os.path.join("tree", f"{part:04d}"), "target": f"/{part:04d}"} for part in range(parts)]
        write_plan(folder, trees, f"plan-{parts * 1_000}.json")


INPUTS = {make.__name__: make for make in (closure, small, flat, big, million)}


def tree(folder):
    path = os.path.join(folder, "tree")
    os.makedirs(path)
    write_plan(folder, [{"source": "tree"}])
    return path


def write_plan(folder, trees, name="plan.json"):
    filesystem = {"label": "BENCH", "freeSpace": "16MiB", "growTo": "1TiB"}
    with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
        json.dump({"version": 1, "trees": trees, "filesystem": filesystem}, file)


def many(top, folders, files, text):
    for part in range(folders):
        folder = os.path.join(top, f"{part:04d}")
        os.mkdir(folder)
        for number in range(files):
            with open(os.path.join(folder, f"{number:06d}"), "wb") as file:
                file.write(text(part * files + number))


class Input:
    """The folder of an input. Creates it if it is missing or incomplete."""

    def __init__(self, name, cache):
        self.name, self.folder = name, os.path.join(cache, name)
        done = os.path.join(self.folder, ".complete")
        if not os.path.exists(done):
            print(f"bench: making {name}: {INPUTS[name].__doc__}", flush=True)
            if name != "closure" and os.path.exists(self.folder):
                raise SystemExit(f"bench: {self.folder} is there but not whole; remove it")
            os.makedirs(cache, exist_ok=True)
            INPUTS[name](self.folder)
            with open(done, "w", encoding="utf-8"):
                pass
        self.plan = os.path.join(self.folder, "plan.json")
        self.source = os.path.join(self.folder, "store" if name == "closure" else "tree")

    def files(self):
        """All regular files in the order of their paths, each followed by a NUL."""
        for folder, folders, names in os.walk(os.fsencode(self.source)):
            folders.sort()
            for name in sorted(names):
                path = os.path.join(folder, name)
                if not os.path.islink(path):
                    yield path + b"\0"
