"""Parts of a small virtual machine: Debian's cloud kernel, its virtio modules, busybox, resize2fs."""

import glob
import gzip
import lzma
import os
import re
import shutil
import subprocess
import tempfile
import time

from image_files import Unusable, run

# The package that always depends on Debian's newest kernel for virtual machines.
KERNEL = "linux-image-cloud-amd64"
# In the order in which they must be loaded.
MODULES = ("virtio_ring", "virtio", "virtio_pci_modern_dev", "virtio_pci_legacy_dev", "virtio_pci", "virtio_blk")

INIT = """\
#!/bin/busybox sh
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
for module in {modules}; do insmod /modules/$module.ko || echo "VM: module $module: not loaded"; done
mount -t ext4 /dev/vda /mnt || echo "VM: not mounted"
resize2fs /dev/vda && echo "VM: grown" || echo "VM: not grown"
mkdir /mnt/written-in-vm
i=0
while [ $i -lt 2000 ]; do echo $i > /mnt/written-in-vm/file-$i || break; i=$((i + 1)); done
echo "VM: wrote $i files"
dd if=/dev/zero of=/mnt/written-in-vm/large bs=1M count=64 2>/dev/null && echo "VM: wrote a large file"
echo "VM: $(stat -f -c '%b blocks of %S, %c inodes' /mnt)"
umount /mnt && echo "VM: unmounted"
dmesg | grep -E 'EXT4-fs (error|warning)|orrupt|JBD2: Inv' | sed 's/^/VM: kernel: /'
echo "VM: end"
poweroff -f
"""


def kernel(cache, package=KERNEL):
    """The files of an unpacked kernel package. Downloads it if it is not in the cache."""
    folder = os.path.join(cache, "kernel" if package == KERNEL else package)
    find = lambda: sorted(glob.glob(os.path.join(folder, "boot", "vmlinuz-*-cloud-amd64")))
    found = find()
    if not found:
        os.makedirs(cache, exist_ok=True)
        depends = run(["apt-cache", "depends", package], hint="run apt-get update").stdout
        name = re.search(r"Depends: (linux-image-\S+-cloud-amd64)$", depends, re.MULTILINE)
        if not name:
            raise Unusable(f"{package}: apt does not know the kernel; run apt-get update")
        run(["apt-get", "download", "-o", "APT::Sandbox::User=root", name[1]], cwd=cache)
        run(["dpkg-deb", "-x", *glob.glob(os.path.join(cache, name[1] + "_*.deb")), folder])
        found = find()
    release = os.path.basename(found[-1]).removeprefix("vmlinuz-")
    return found[-1], os.path.join(folder, "lib", "modules", release)


def initrd(modules, target, init=INIT, programs=("resize2fs",), own=(), more=()):
    """Writes the root of the machine: a cpio archive with installed programs of this machine, our own programs, and `more` kernel
    modules."""
    search = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    found = {name: shutil.which(name, path=search) for name in ("busybox", *programs)}
    if missing := [name for name, path in found.items() if not path]:
        raise Unusable(f"{', '.join(missing)}: not installed; run tests/tools/install-test-tools --vm")
    files = {"/bin/busybox": found["busybox"], **{f"/sbin/{os.path.basename(path)}": path for path in own}}
    for name in programs:
        # Each library at its own path, where the loader searches for it.
        libraries = re.findall(r"(/\S+) \(0x", run(["ldd", found[name]]).stdout)
        files |= {f"/sbin/{name}": found[name], **{path: path for path in libraries}}
    archive(files, modules, target, init, more)


def kernel_modules(modules, more=()):
    """The modules for a disk and `more`, by name, without those built into the kernel."""
    with open(os.path.join(modules, "modules.builtin"), encoding="ascii") as file:
        built_in = {os.path.basename(line.strip()) for line in file}
    found = {}
    for name in (*MODULES, *more):
        if f"{name}.ko" in built_in:
            continue
        paths = glob.glob(os.path.join(modules, "kernel", "**", name + ".ko*"), recursive=True)
        if not paths:
            raise Unusable(f"{name}.ko: the kernel package has no such module; remove the cache's kernel folder")
        with open(paths[0], "rb") as file:
            found[name] = lzma.decompress(file.read()) if paths[0].endswith(".xz") else file.read()
    return found


def archive(files, modules, target, init, more=()):
    """Writes a cpio archive with these files, the modules for a disk, and an init program."""
    loaded = kernel_modules(modules, more)
    archive = bytearray()
    folders = {"/proc", "/sys", "/dev", "/mnt", "/etc", "/modules"}
    for path in files:
        while (path := os.path.dirname(path)) != "/":
            folders.add(path)
    for folder in sorted(folders):
        archive += member(folder, 0o40755, b"")
    # The init program needs a console before devtmpfs is mounted.
    archive += member("/dev/console", 0o20600, b"", device=(5, 1))
    archive += member("/etc/mtab", 0o120777, b"/proc/mounts")
    archive += member("/init", 0o100755, init.format(modules=" ".join(loaded)).encode())
    for path, source in files.items():
        with open(source, "rb") as file:
            archive += member(path, 0o100755, file.read())
    for name, data in loaded.items():
        archive += member(f"/modules/{name}.ko", 0o100644, data)
    archive += member("TRAILER!!!", 0, b"")
    with gzip.open(target, "wb", compresslevel=1) as file:
        file.write(archive)


def member(path, mode, data, device=(0, 0)):
    """An entry of a cpio archive in the "newc" format (Linux, Documentation/driver-api/early-userspace)."""
    member.inode += 1
    name = path.lstrip("/").encode() + b"\0"
    fields = (member.inode, mode, 0, 0, 1, 0, len(data), 0, 0, *device, len(name), 0)
    entry = b"070701" + b"".join(b"%08X" % field for field in fields) + name
    entry += bytes(-len(entry) % 4) + data
    return entry + bytes(-len(entry) % 4)


member.inode = 0


# As on a board without a clock. Nothing in the image may be in the future.
WITHOUT_CLOCK = "1970-01-01T00:00:20"


def command(kernel_file, initrd_file, disk, words="", clock=WITHOUT_CLOCK, cache="unsafe", sector=512, efi=None):
    """The command of a machine. `words` are passed to the kernel, which shows them in /proc/cmdline. Without a kernel, the firmware
    boots the disk: the BIOS, or EFI with the files of its code and of its variables, which are changed. `sector` is the sector size
    of the disk in bytes."""
    flash = []
    for file, options in zip(efi or (), (",readonly=on", "")):
        flash += ["-drive", f"if=pflash,format=raw,file={file}{options}"]
    append = f"console=ttyS0 quiet panic=-1 no_timer_check {words}"
    direct = ["-kernel", kernel_file, "-initrd", initrd_file, "-append", append] if kernel_file else []
    return [
        "qemu-system-x86_64", "-accel", "tcg", "-cpu", "qemu64", "-m", "768", "-nographic", "-no-reboot", "-nodefaults",
        "-serial", "stdio", *flash, *direct,
        "-drive", f"file={disk},format=raw,if=none,id=disk,cache={cache},discard=unmap", "-rtc", f"base={clock}",
        "-device", f"virtio-blk-pci,drive=disk,logical_block_size={sector},physical_block_size={max(sector, 512)}",
    ]


def boot(kernel_file, initrd_file, disk, seconds, **options):
    """Runs the machine until it powers off. Returns its lines that begin with `VM: `."""
    try:
        result = subprocess.run(
            command(kernel_file, initrd_file, disk, **options), capture_output=True, text=True, errors="replace",
            timeout=seconds, check=False, stdin=subprocess.DEVNULL,
        )
    except FileNotFoundError:
        raise Unusable("qemu-system-x86_64: not installed; run tests/tools/install-test-tools --vm") from None
    except subprocess.TimeoutExpired as expired:
        said = (expired.stdout or b"").decode(errors="replace").strip().split("\n")[-1]
        raise Unusable(f"the machine did not end within {seconds} s; it last said: {said}; see --timeout") from None
    lines = said_by(result.stdout)
    if "end" not in lines:
        last = (result.stdout + result.stderr).strip().split("\n")[-5:]
        raise Unusable("the machine did not come to its end: " + " / ".join(last))
    return lines


def boot_and_cut(kernel_file, initrd_file, disk, seconds, ready, delay, **options):
    """Runs the machine until it prints `ready`, waits `delay` seconds, then cuts its power. Returns its lines."""
    begin = time.monotonic()
    with tempfile.TemporaryFile() as output:
        with subprocess.Popen(
            command(kernel_file, initrd_file, disk, **options), stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
        ) as machine:
            said = lambda: os.pread(output.fileno(), 1 << 24, 0).decode(errors="replace")
            while ready not in said_by(said()):
                if machine.poll() is not None or time.monotonic() - begin > seconds:
                    machine.kill()
                    raise Unusable(f"the machine did not say {ready!r}: " + " / ".join(said().strip().split("\n")[-5:]))
                time.sleep(0.05)
            time.sleep(delay)
            machine.kill()
        # The last line can be incomplete.
        return said_by(said().rpartition("\n")[0])


def said_by(output):
    """The lines for us. GRUB moves the cursor before it prints."""
    return [line[line.index("VM: ") + 4:].strip() for line in output.split("\n") if "VM: " in line]
