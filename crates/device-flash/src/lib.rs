//! Writes an image to a device, only where the device differs from it, and checks what was written.
//!
//! Reading a card is several times as fast as writing it. So [`Flasher`] reads the device before it writes, and skips what is
//! there already. It takes the image in order, as a [`Write`](std::io::Write).
//!
//! The invariants:
//! - From the first change to the end of the last check, the beginning of the device ([`HEAD`]) is zeros: it has no partition
//!   table and no superblock, so a device that was written in part is not taken for a whole one. Run again, the work goes on.
//! - What was written is read back, past the cache of the system where it can be.
//!
//! | module | contents |
//! |---|---|
//! | `flasher` | compares and writes |
//! | `checks` | what is read back, and why |
//! | `aliases` | recognises a device that may be smaller than it claims |
//! | `medium` | the device, as the flasher uses it |
//! | `block_devices` | the disks of this machine, and what uses them |
//! | `target` | opens a device, or refuses it |

mod aliases;
mod block_devices;
mod checks;
mod error;
mod flasher;
mod medium;
mod target;

pub use block_devices::{BlockDevice, System, Use};
pub use error::{FlashError, TargetRefusal};
pub use flasher::{Flashed, Flasher, HEAD, Options, ReadBack};
pub use medium::{DeviceFile, Medium};
pub use target::{Target, open};
