//! An appliance: a tar archive of a description of a virtual machine (OVF, DMTF's DSP0243), its disk as a VMDK, and a manifest
//! with their digests, in this order. The disk's length is known only at its end, so its header in the archive is written last.

use std::io;

use data_encoding::HEXLOWER;
use image_tree::{PackedBlock, PackedFile, PackedFormat, to_u64, to_usize};
use sha2::{Digest, Sha256};

use crate::ContainerError;
use crate::tar::{BLOCK, RECORD, Variant, header, is_possible};
use crate::vmdk::StreamVmdk;

/// Replaced by the disk's length in \[bytes\].
const CAPACITY: &str = "${capacity}";
/// Names of the description and of the manifest. They must differ only in the ending.
const DESCRIPTION: &str = "machine.ovf";
const MANIFEST: &str = "machine.mf";

/// An appliance with one disk.
#[derive(Clone, Debug)]
pub struct Ova {
    disk: StreamVmdk,
    /// The disk's name in the archive.
    name: String,
    description: String,
}

impl Ova {
    /// Puts a disk with this name into an archive. `description` is the OVF; it must name the disk. In it, `${capacity}` is
    /// replaced by the disk's length in \[bytes\].
    ///
    /// # Errors
    /// Fails if the name is not one for an archive, or the description does not have it.
    pub fn new(disk: StreamVmdk, name: &str, description: &str) -> Result<Self, ContainerError> {
        if !is_possible(name) {
            return Err(ContainerError::Member);
        }
        if !description.contains(&format!("\"{name}\"")) {
            return Err(ContainerError::Description);
        }
        let description = description.replace(CAPACITY, &disk.image_len().to_string());
        Ok(Self { disk, name: name.to_owned(), description })
    }
}

/// Appends a member.
fn member(name: &str, bytes: &[u8], output: &mut Vec<u8>) {
    output.extend(header(name, to_u64(bytes.len()), Variant::Ustar));
    output.extend(bytes);
    pad(to_u64(bytes.len()), BLOCK, output);
}

/// Appends zeros up to a multiple of `unit` after `len` \[bytes\].
fn pad(len: u64, unit: u64, output: &mut Vec<u8>) {
    output.resize(output.len() + to_usize(len.next_multiple_of(unit) - len), 0);
}

impl PackedFormat for Ova {
    fn image_len(&self) -> u64 {
        self.disk.image_len()
    }

    fn block(&self) -> usize {
        self.disk.block()
    }

    fn compress(&self, blocks: &[u8]) -> io::Result<Vec<PackedBlock>> {
        self.disk.compress(blocks)
    }

    fn is_patched(&self) -> bool {
        true
    }

    fn begin(&self, output: &mut Vec<u8>) -> Box<dyn PackedFile> {
        member(DESCRIPTION, self.description.as_bytes(), output);
        let start = output.clone();
        // The disk's header comes at the end.
        output.resize(output.len() + to_usize(BLOCK), 0);
        let disk_at = output.len();
        let disk = self.disk.begin(output);
        let mut file = File { ova: self.clone(), disk, start, hash: Sha256::new(), len: 0 };
        file.count(&output[disk_at..]);
        Box::new(file)
    }
}

struct File {
    ova: Ova,
    disk: Box<dyn PackedFile>,
    /// What comes before the disk's header.
    start: Vec<u8>,
    /// Of the disk so far.
    hash: Sha256,
    /// The disk's length so far, in \[bytes\].
    len: u64,
}

impl File {
    fn count(&mut self, bytes: &[u8]) {
        self.hash.update(bytes);
        self.len += to_u64(bytes.len());
    }
}

impl PackedFile for File {
    fn block(&mut self, block: &PackedBlock, output: &mut Vec<u8>) -> io::Result<()> {
        let before = output.len();
        self.disk.block(block, output)?;
        self.count(&output[before..]);
        Ok(())
    }

    fn zeros(&mut self, count: u64, output: &mut Vec<u8>) -> io::Result<()> {
        let before = output.len();
        self.disk.zeros(count, output)?;
        self.count(&output[before..]);
        Ok(())
    }

    fn end(self: Box<Self>, output: &mut Vec<u8>) -> io::Result<Vec<u8>> {
        let Self { ova, disk, start, mut hash, mut len } = *self;
        let before = output.len();
        disk.end(output)?;
        hash.update(&output[before..]);
        len += to_u64(output.len() - before);
        // A VMDK has whole sectors, which are blocks of the archive.
        let description = HEXLOWER.encode(&Sha256::digest(ova.description.as_bytes()));
        let digest = HEXLOWER.encode(&hash.finalize());
        let name = &ova.name;
        let manifest = format!("SHA256({DESCRIPTION})= {description}\nSHA256({name})= {digest}\n");
        let at = output.len();
        member(MANIFEST, manifest.as_bytes(), output);
        // Two blocks of zeros end an archive.
        output.resize(output.len() + to_usize(2 * BLOCK), 0);
        let all = to_u64(start.len()) + BLOCK + len + to_u64(output.len() - at);
        pad(all, RECORD, output);
        Ok([start, header(&ova.name, len, Variant::Ustar)].concat())
    }
}
