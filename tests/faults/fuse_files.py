#!/usr/bin/env python3
"""A folder of files that misbehave on demand, served through /dev/fuse (the protocol of linux/fuse.h, version 7.31).

usage: fuse_files.py MOUNTPOINT [--file NAME=PATH] … [--fault NAME:KIND:OFFSET] …

Files are in memory; new ones can be created. There are no unnamed files (O_TMPFILE) here. The kinds of faults:
  read-error     reads at or after OFFSET fail with an input/output error
  write-error    writes at or after OFFSET fail with an input/output error
  corrupt        the byte at OFFSET is returned inverted, whatever was written
  forget         writes at or after OFFSET are lost without an error
  wrap           addresses from OFFSET on are those from the start again
  read-rate      reads take as long as at OFFSET bytes a second
  write-rate     writes take as long as at OFFSET bytes a second
  ends           the file ends at OFFSET, although its length is greater

Ends when it is unmounted. Needs root.
"""
import ctypes
import errno
import os
import stat
import struct
import sys
import time

HEADER_IN = struct.Struct("<IIQQIIIHH")
HEADER_OUT = struct.Struct("<IiQ")
ATTRIBUTES = struct.Struct("<6Q10I")
DIRECT_IO = 1  # FOPEN_DIRECT_IO: the kernel does not cache the contents
LARGEST_WRITE = 1 << 17
LOOKUP, FORGET, GETATTR, SETATTR, UNLINK, RENAME, OPEN, READ, WRITE, STATFS = 1, 2, 3, 4, 10, 12, 14, 15, 16, 17
RELEASE, FSYNC, FLUSH, INIT, OPENDIR, READDIR, RELEASEDIR, FSYNCDIR, ACCESS, CREATE = 18, 20, 25, 26, 27, 28, 29, 30, 34, 35
INTERRUPT, DESTROY, BATCH_FORGET, RENAME2 = 36, 38, 42, 45
TIME = 1_000_000_000


class Refused(Exception):
    """A request that fails with an error number."""


class Server:
    def __init__(self, files, faults):
        self.names = {}
        self.contents = {}
        self.faults = {}
        self.next = 2
        for name, content in files.items():
            self.make(name, bytearray(content))
        for name, kind, offset in faults:
            self.faults.setdefault(self.names[name], {})[kind] = offset

    def make(self, name, content):
        self.names[name] = self.next
        self.contents[self.next] = content
        self.next += 1
        return self.next - 1

    def attributes(self, node):
        directory = node == 1
        size = 0 if directory else len(self.contents[node])
        mode = stat.S_IFDIR | 0o777 if directory else stat.S_IFREG | 0o644
        return ATTRIBUTES.pack(node, size, (size + 511) // 512, TIME, TIME, TIME, 0, 0, 0, mode, 1, 0, 0, 0, 4096, 0)

    def entry(self, node):
        return struct.pack("<4Q2I", node, 0, 0, 0, 0, 0) + self.attributes(node)

    def named(self, body):
        name = body.split(b"\0", 1)[0]
        if name not in self.names:
            raise Refused(errno.ENOENT)
        return name

    def answer(self, opcode, node, body):
        """The bytes of a reply; None if none is expected."""
        if opcode == INIT:
            _, _, readahead, flags = struct.unpack_from("<4I", body)
            big_writes = 1 << 5
            return struct.pack("<4I2H2I2H", 7, 31, readahead, flags & big_writes, 12, 9, LARGEST_WRITE, 1, 32, 0).ljust(64, b"\0")
        if opcode in (FORGET, BATCH_FORGET, INTERRUPT):
            return None
        if opcode == LOOKUP:
            return self.entry(self.names[self.named(body)])
        if opcode in (GETATTR, SETATTR):
            valid = struct.unpack_from("<I", body)[0]
            if opcode == SETATTR and valid & (1 << 3):
                content, size = self.contents[node], struct.unpack_from("<Q", body, 16)[0]
                del content[size:]
                content.extend(bytes(size - len(content)))
            return struct.pack("<Q2I", 0, 0, 0) + self.attributes(node)
        if opcode in (OPEN, OPENDIR):
            return struct.pack("<Q2I", 0, DIRECT_IO if opcode == OPEN else 0, 0)
        if opcode == CREATE:
            made = self.make(body[16:].split(b"\0", 1)[0], bytearray())
            return self.entry(made) + struct.pack("<Q2I", 0, DIRECT_IO, 0)
        if opcode == READ:
            return self.read(node, *struct.unpack_from("<QI", body, 8))
        if opcode == WRITE:
            offset, size = struct.unpack_from("<QI", body, 8)
            return self.write(node, offset, body[40 : 40 + size])
        if opcode == READDIR:
            return self.listing(struct.unpack_from("<QI", body, 8))
        if opcode == UNLINK:
            del self.names[self.named(body)]
            return b""
        if opcode in (RENAME, RENAME2):
            body = body[8 if opcode == RENAME else 16 :]
            old = self.named(body)
            new = body.split(b"\0", 2)[1]
            self.names[new] = self.names.pop(old)
            return b""
        if opcode == STATFS:
            return struct.pack("<5Q4I", 1 << 20, 1 << 20, 1 << 20, 1 << 20, 1 << 20, 4096, 255, 4096, 0).ljust(80, b"\0")
        if opcode in (RELEASE, RELEASEDIR, FLUSH, FSYNC, FSYNCDIR, ACCESS, DESTROY):
            return b""
        raise Refused(errno.ENOSYS)

    def read(self, node, offset, size):
        faults, content = self.faults.get(node, {}), self.contents[node]
        if offset + size > faults.get("read-error", 1 << 62):
            raise Refused(errno.EIO)
        if rate := faults.get("read-rate"):
            time.sleep(size / rate)
        end = min(offset + size, faults.get("ends", len(content)))
        length = faults.get("wrap", 1 << 62)
        data = bytearray()
        while len(data) < end - offset:
            at = (offset + len(data)) % length
            data += content[at : min(at + end - offset - len(data), length)]
        wrong = faults.get("corrupt", -1) - offset
        if 0 <= wrong < len(data):
            data[wrong] ^= 0xFF
        return bytes(data)

    def write(self, node, offset, data):
        faults, content = self.faults.get(node, {}), self.contents[node]
        if offset + len(data) > faults.get("write-error", 1 << 62):
            raise Refused(errno.EIO)
        if rate := faults.get("write-rate"):
            time.sleep(len(data) / rate)
        taken = data[: max(0, faults.get("forget", 1 << 62) - offset)]
        if offset + len(taken) > len(content):
            content.extend(bytes(offset + len(taken) - len(content)))
        length = faults.get("wrap", 1 << 62)
        while taken:
            at = offset % length
            part = taken[: length - at]
            content[at : at + len(part)] = part
            offset, taken = offset + len(part), taken[len(part) :]
        return struct.pack("<2I", len(data), 0)

    def listing(self, wanted):
        offset, size = wanted
        out = b""
        entries = [(b".", 1), (b"..", 1), *sorted(self.names.items())]
        for index, (name, node) in list(enumerate(entries, 1))[offset:]:
            kind = stat.S_IFDIR >> 12 if node == 1 else stat.S_IFREG >> 12
            entry = struct.pack("<2Q2I", node, index, len(name), kind) + name
            entry += bytes(-len(entry) % 8)
            if len(out) + len(entry) > size:
                break
            out += entry
        return out

    def serve(self, device):
        while True:
            try:
                request = os.read(device, LARGEST_WRITE + 4096)
            except OSError as error:
                if error.errno == errno.ENODEV:  # unmounted
                    return
                if error.errno in (errno.ENOENT, errno.EINTR, errno.EAGAIN):
                    continue
                raise
            length, opcode, unique, node = HEADER_IN.unpack_from(request)[:4]
            try:
                body, error = self.answer(opcode, node, request[HEADER_IN.size : length]), 0
            except Refused as refused:
                body, error = b"", -refused.args[0]
            if body is not None:
                try:
                    os.write(device, HEADER_OUT.pack(HEADER_OUT.size + len(body), error, unique) + body)
                except OSError as gone:
                    if gone.errno != errno.ENOENT:  # the requesting process was killed
                        raise


def main():
    words = sys.argv[2:]
    files, faults = {}, []
    for option, value in zip(words[::2], words[1::2], strict=True):
        if option == "--file":
            name, path = value.split("=", 1)
            with open(path, "rb") as source:
                files[name.encode()] = source.read()
        elif option == "--fault":
            name, kind, offset = value.rsplit(":", 2)
            faults.append((name.encode(), kind, int(offset)))
        else:
            sys.exit(__doc__)
    device = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
    options = f"fd={device},rootmode=40000,user_id=0,group_id=0,allow_other".encode()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(b"snugfs-faults", os.fsencode(sys.argv[1]), b"fuse", 0, options) != 0:
        sys.exit(f"fuse_files.py: can't mount: {os.strerror(ctypes.get_errno())}")
    print("mounted", flush=True)
    Server(files, faults).serve(device)


if __name__ == "__main__":
    main()
