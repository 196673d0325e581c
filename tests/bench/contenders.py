"""The contenders: snugfs in several forms, today's tools for the same work, and the limits of the machine."""

import json
import os
import subprocess

import ext4_reader
import image_files
import mke2fs_twin

HERE = os.path.dirname(os.path.abspath(__file__))
MKEXT4 = "0.0.3"

ABOUT = {
    "raw": "snugfs, raw image",
    "tenth": "snugfs, raw image of a tenth of it",
    "hundredth": "snugfs, raw image of a hundredth",
    "report": "snugfs, raw image and its digest",
    "zstd": "snugfs, zstd image",
    "sd": "snugfs, zstd SD image",
    "size": "snugfs size (scan and layout)",
    "today": "make-ext4-fs.nix and sd-image.nix",
    "today-raw": "  until the raw image is there",
    "today-zstd": "  until it is compressed",
    "today-sd": "  until the SD image is compressed",
    "mke2fs": "mke2fs -d, exact numbers given",
    "mkext4": "mkext4, exact size given",
    "zstd-of-raw": "zstd -T0 -3 of the raw image",
    "cat": "cat of all files, one thread",
    "readers": "cat of all files, 32 at once",
    "threads": "snugfs, raw image, 32 threads",
    "zstd-warm": "snugfs, zstd image, warm",
    "walk": "find, status of every file",
    "cp": "cp -a of the tree",
    "write": "dd, zeros of the image's size",
}
EVERYWHERE = ["raw", "size", "walk", "cat", "mke2fs", "mkext4"]
OF = {
    "closure": [*EVERYWHERE, "report", "zstd", "zstd-of-raw", "sd", "cp", "write", "today"],
    "big": [*EVERYWHERE, "report", "write"],
    "million": [*EVERYWHERE, "tenth", "hundredth"],
}
# With cold caches. The warm run in between is for comparison.
COLD = ["raw", "threads", "readers", "zstd", "zstd-warm", "size", "walk"]
READERS = 32
# How many times cat is started for each of these, so that they end at about the same time.
PORTIONS = 8
# Only run in the first round, because each run takes minutes: mke2fs searches a folder for each of its names.
ONCE = {("flat", "mke2fs")}
# The plans of a part of an input.
PARTS = {"tenth": "plan-100000.json", "hundredth": "plan-10000.json"}
# contender: (another one, maximum multiple of its seconds)
GOALS = {
    "closure": [
        ("raw", "cat", 0.75), ("raw", "mkext4", 0.5), ("raw", "today-raw", 1 / 20), ("zstd", "zstd-of-raw", 1.05),
        ("zstd", "today-zstd", 1 / 6), ("sd", "zstd", 1.05), ("sd", "today-sd", 1 / 10), ("size", "walk", 1.0),
        ("raw", "mke2fs", 1.0),
    ],
    # In proportion: ten times as many files take ten times as long, with some tolerance.
    "million": [("raw", "mkext4", 1.0), ("raw", "mke2fs", 1.0), ("raw", "tenth", 12.0), ("tenth", "hundredth", 12.0)],
}
# contender: (seconds of others, each so many times, that it may take together)
COLD_GOALS = [
    ("raw", {"readers": 0.8}), ("raw", {"threads": 1.1}), ("zstd", {"zstd-warm": 1.1, "readers": 0.1}), ("size", {"walk": 0.5}),
]
EVERYWHERES_GOALS = [("raw", "mkext4", 1.0), ("raw", "mke2fs", 1.0)]


def of(name, cold):
    return COLD if cold else OF.get(name, EVERYWHERE)


def rounds_of(name, contender, rounds):
    return 1 if (name, contender) in ONCE else rounds


def goals(name, cold):
    """(contender, {another one: at most so many times its seconds})"""
    return COLD_GOALS if cold else [(one, {other: most}) for one, other, most in GOALS.get(name, EVERYWHERES_GOALS)]


def install_mkext4(cache):
    """Builds the example program of the mkext4 library, which writes an image of a folder. Returns the path of its binary."""
    root = os.path.join(cache, f"mkext4-{MKEXT4}")
    program = os.path.join(root, "bin", "mkfs")
    if not os.path.exists(program):
        command = ["cargo", "install", "mkext4", "--version", f"={MKEXT4}", "--example", "mkfs", "--root", root, "--quiet"]
        subprocess.run(command, check=True)
    return program


class Contenders:
    """The commands for one input, and the files that a run of each creates."""

    def __init__(self, options, source, work):
        self.options, self.input, self.work = options, source, work
        self.raw = os.path.join(work, "reference.img")
        self.list = os.path.join(work, "files")
        self.runs = 0
        with open(self.list, "wb") as file:
            files = list(source.files())
            file.writelines(files)
        self.files = len(files)
        self.environment = {
            **os.environ, "LC_ALL": "C", "PATH": os.environ["PATH"] + ":/usr/sbin:/sbin", "E2FSPROGS_FAKE_TIME": "1",
        }
        if not options.cold:
            self.prepare_others()

    def prepare_others(self):
        """What only contenders with warm caches need."""
        image_files.run(self.build(self.raw))
        image = ext4_reader.Image(self.raw)
        self.bytes = image.blocks * 4096
        self.geometry = mke2fs_twin.Geometry(
            image.blocks, image.superblock["inodes_count"], image.reserved_gdt, image.inode(8).size // 4096,
            fs_uuid=image.superblock["uuid"],
        )
        self.config = os.path.join(self.work, "mke2fs.conf")
        with open(self.config, "w", encoding="utf-8") as file:
            file.write(mke2fs_twin.CONFIG)
        self.firmware = os.path.join(self.work, "firmware")
        os.mkdir(self.firmware)
        for name in range(3):
            with open(os.path.join(self.firmware, f"firmware-{name}.bin"), "wb") as file:
                file.write(os.urandom(4 << 20))

    def build(self, out, plan=None):
        threads = ["--threads", str(self.options.threads)] if self.options.threads else []
        return [self.options.snugfs, "build", plan or self.input.plan, "-o", out, "--progress", "none", *threads]

    def disk_plan(self):
        """The input's plan as an SD card with a firmware partition, as in sd-image.nix."""
        with open(self.input.plan, encoding="utf-8") as file:
            plan = json.load(file)
        firmware = {"kind": "fat", "label": "FIRMWARE", "id": "0x2178694e", "source": self.firmware}
        plan["disk"] = {"table": "mbr", "id": "0x2178694e", "partitions": [
            {"start": "8MiB", "size": "30MiB", "type": "0b", "content": firmware},
            {"type": "83", "bootable": True, "content": {"kind": "root"}},
        ]}
        path = os.path.join(self.work, "disk.json")
        with open(path, "w", encoding="utf-8") as file:
            json.dump(plan, file)
        return [*self.build(os.path.join(self.work, "sd.out.zst"), path), "--base-dir", self.input.folder]

    def command(self, name):
        """The command, its environment, and the image that it writes."""
        out = os.path.join(self.work, f"{name}.out")
        environment = self.environment
        if name == "raw":
            return self.build(out), environment, out
        if name == "threads":
            return [*self.build(out), "--threads", str(READERS)], environment, out
        if name in PARTS:
            return self.build(out, os.path.join(self.input.folder, PARTS[name])), environment, out
        if name == "report":
            return [*self.build(out), "--report", os.path.join(self.work, "report")], environment, out
        if name in ("zstd", "zstd-warm"):
            return self.build(out + ".zst"), environment, out + ".zst"
        if name == "sd":
            return self.disk_plan(), environment, out + ".zst"
        if name == "size":
            return [self.options.snugfs, "size", self.input.plan, "--progress", "none"], environment, None
        if name == "today":
            self.runs += 1
            folder = os.path.join(self.work, f"today-{self.runs}")
            os.mkdir(folder)
            return [os.path.join(HERE, "todays-pipeline"), self.input.folder, folder, self.firmware], environment, None
        if name == "mkext4":
            # Space for its different layout; free space costs it nothing.
            room = str((self.bytes // 4096 + self.bytes // 204800 + (64 << 8)) * 4096)
            inodes = {"MKEXT4_INODES": str(self.geometry.inodes)}
            return [self.options.mkext4, self.input.source, out, room], {**environment, **inodes}, out
        if name == "mke2fs":
            with open(out, "wb") as file:
                file.truncate(self.bytes)
            arguments = [*self.geometry.arguments(), "-d", self.input.source, out, str(self.geometry.blocks)]
            return ["mke2fs", *arguments], {**environment, "MKE2FS_CONFIG": self.config}, out
        if name == "zstd-of-raw":
            return ["zstd", "-q", "-T0", "-3", "-f", self.raw, "-o", out], environment, out
        if name == "cat":
            return ["sh", "-c", 'xargs -0 -a "$0" cat > /dev/null', self.list], environment, None
        if name == "readers":
            portion = str(-(-self.files // (READERS * PORTIONS)))
            cat = 'xargs -0 -a "$0" -P "$1" -n "$2" cat > /dev/null'
            return ["sh", "-c", cat, self.list, str(READERS), portion], environment, None
        if name == "walk":
            return ["find", self.input.source, "-fprintf", "/dev/null", "%s\n"], environment, None
        if name == "cp":
            self.runs += 1
            return ["cp", "-a", self.input.source, os.path.join(self.work, f"copy-{self.runs}")], environment, None
        assert name == "write"
        count = f"count={self.bytes >> 20}"
        return ["dd", "if=/dev/zero", f"of={out}", "bs=1M", count, "status=none"], environment, out
