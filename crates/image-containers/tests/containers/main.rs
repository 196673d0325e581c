//! Containers are read back, by qemu-img and by the rules of the format: every byte is the image's.

#![expect(clippy::unwrap_used, reason = "a test ends at what it does not expect")]

mod archive;
mod descriptors;
mod lengths;
mod packed;
mod readers;
mod strict;
mod support;
mod used_device;
mod virtual_disks;
