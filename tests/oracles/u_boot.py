"""Controls U-Boot in a virtual ARM machine through its serial console. Needs neither KVM nor root."""

import os
import subprocess
import time

from image_files import Unusable

# From Debian's u-boot-qemu, or another one.
U_BOOT = os.environ.get("SNUGFS_TEST_U_BOOT", "/usr/lib/u-boot/qemu_arm64/u-boot.bin")
TIMEOUT = 120


class Console:
    """The prompt of U-Boot, with an image as its only drive."""

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
        self.output = ""

    def __enter__(self):
        self.until_prompt()
        # Keys after the countdown are empty commands.
        time.sleep(1)
        self.command("virtio scan")
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
