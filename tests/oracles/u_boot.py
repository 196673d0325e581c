"""Controls U-Boot in a virtual machine through its serial console. Needs neither KVM nor root."""

import os
import subprocess
import time
from typing import NamedTuple

from image_files import Unusable


class Machine(NamedTuple):
    emulator: str
    # The package of Debian that has the emulator.
    package: str
    options: list
    # From Debian's u-boot-qemu, or another one.
    u_boot: str
    # Further options of the drive, of its device, and the command that finds it.
    drive: str
    device: list
    scan: str


# Only reads: Debian compiles this U-Boot without ext4write.
ARM = Machine(
    "qemu-system-aarch64", "qemu-system-arm", ["-M", "virt", "-cpu", "cortex-a53"],
    os.environ.get("SNUGFS_TEST_U_BOOT", "/usr/lib/u-boot/qemu_arm64/u-boot.bin"),
    "if=none,readonly=on,id=d", ["-device", "virtio-blk-device,drive=d"], "virtio scan",
)
# Has ext4write. Its commands call the drive "ide 0".
PC = Machine(
    "qemu-system-i386", "qemu-system-x86", ["-M", "pc"],
    os.environ.get("SNUGFS_TEST_U_BOOT_PC", "/usr/lib/u-boot/qemu-x86/u-boot.rom"),
    "if=ide", [], "ide reset",
)
TIMEOUT = 120


class Console:
    """The prompt of U-Boot, with an image as its only drive."""

    def __init__(self, image, machine=ARM):
        if not os.path.exists(machine.u_boot):
            raise Unusable(f"{machine.u_boot}: missing; install u-boot-qemu")
        self.scan = machine.scan
        self.command_line = [
            machine.emulator, *machine.options, "-m", "256", "-nographic", "-nic", "none", "-bios", machine.u_boot,
            "-drive", f"{machine.drive},file={image},format=raw", *machine.device,
        ]
        self.package = machine.package

    def start(self):
        try:
            self.process = subprocess.Popen(
                self.command_line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
            )
        except FileNotFoundError:
            raise Unusable(f"{self.command_line[0]}: missing; install {self.package}") from None
        os.set_blocking(self.process.stdout.fileno(), False)
        self.output = ""
        self.until_prompt()

    def __enter__(self):
        try:
            self.start()
        except Unusable:
            # The PC rarely hangs before the first prompt, when nothing of the image has been read yet.
            self.start()
        # Keys after the countdown are empty commands.
        time.sleep(1)
        self.command(self.scan)
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()

    def until_prompt(self):
        """The output until U-Boot waits for the next command."""
        before = len(self.output)
        end = time.monotonic() + TIMEOUT
        while not self.output[before:].rstrip(" ").endswith("\n=>"):
            if time.monotonic() > end or self.process.poll() is not None:
                self.process.kill()
                raise Unusable(f"U-Boot does not answer:\n{self.output[-2000:]}")
            # Any key stops the countdown, which can begin at any time.
            if before == 0:
                self.send("")
            time.sleep(0.05)
            self.output += (self.process.stdout.read() or b"").decode(errors="replace").replace("\r", "")
        return self.output[before:]

    def send(self, text):
        self.process.stdin.write(text.encode() + b"\n")
        self.process.stdin.flush()

    def command(self, text):
        self.send(text)
        return self.until_prompt()
