"""U-Boot in a virtual ARM machine, at its serial console. No KVM, no root."""

import os
import subprocess
import time

from image_files import Unusable

# Of Debian's u-boot-qemu, or another one.
U_BOOT = os.environ.get("SNUGFS_TEST_U_BOOT", "/usr/lib/u-boot/qemu_arm64/u-boot.bin")
TIMEOUT = 120


class Console:
    """U-Boot's prompt, with an image as its only drive."""

    def __init__(self, image):
        if not os.path.exists(U_BOOT):
            raise Unusable(f"{U_BOOT}: missing; install u-boot-qemu")
        command = [
            "qemu-system-aarch64", "-M", "virt", "-cpu", "cortex-a53", "-m", "256", "-nographic", "-nic", "none", "-bios", U_BOOT,
            "-drive", f"if=none,file={image},format=raw,readonly=on,id=d", "-device", "virtio-blk-device,drive=d",
        ]
        try:
            self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        except FileNotFoundError:
            raise Unusable("qemu-system-aarch64: missing; install qemu-system-arm") from None
        os.set_blocking(self.process.stdout.fileno(), False)
        self.heard = ""

    def __enter__(self):
        self.until_prompt()
        # Keys that were pressed too late are empty commands.
        time.sleep(1)
        self.command("virtio scan")
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()

    def until_prompt(self):
        """What is said until U-Boot waits for the next command."""
        before = len(self.heard)
        end = time.monotonic() + TIMEOUT
        while not self.heard[before:].rstrip(" ").endswith("\n=>"):
            if time.monotonic() > end or self.process.poll() is not None:
                self.process.kill()
                raise Unusable(f"U-Boot says no more:\n{self.heard[-2000:]}")
            # Any key ends the countdown, which may begin at any time.
            if before == 0:
                self.say("")
            time.sleep(0.05)
            self.heard += (self.process.stdout.read() or b"").decode(errors="replace").replace("\r", "")
        return self.heard[before:]

    def say(self, text):
        self.process.stdin.write(text.encode() + b"\n")
        self.process.stdin.flush()

    def command(self, text):
        self.say(text)
        return self.until_prompt()
