use std::io::ErrorKind as Io;

use super::*;

#[test]
fn an_error_is_one_line_with_place_mistake_and_remedy() {
    let no_space = || io::Error::from_raw_os_error(28);
    let refused = AssemblyError::refused(Path::new("/dev/x"), Refusal::NotADevice);
    let gone = Explanation::new("/s", "is gone", "ask again");
    for (error, kind, text) in [
        (
            AssemblyError::output(Path::new("/a\nb"), no_space()),
            ErrorKind::Output,
            "/a\\x0ab: can't be written: no space left on device; free some space or choose another place",
        ),
        (
            AssemblyError::Source(ContentsError::new(gone.clone())),
            ErrorKind::Source,
            "/s: is gone; ask again",
        ),
        (AssemblyError::Source(ContentsError::internal(gone)), ErrorKind::Internal, "/s: is gone; ask again"),
        (
            AssemblyError::Unreadable { path: "/s".into(), error: io::Error::from_raw_os_error(5) },
            ErrorKind::Source,
            "/s: can't be read: input/output error; check the disk that holds it",
        ),
        (
            AssemblyError::Ended { path: "/s".into() },
            ErrorKind::Source,
            "/s: became shorter while it was read; do not change the sources during the build",
        ),
        (refused, ErrorKind::Output, "/dev/x: is not a block device; name one, or ask for a file"),
        (AssemblyError::Rejected("it is unsound".into()), ErrorKind::Source, "it is unsound"),
        (
            AssemblyError::Pieces(PieceError::Lost),
            ErrorKind::Internal,
            "the layout: a part of the image is missing; please report this as a bug",
        ),
        (
            AssemblyError::StoredFrame(io::Error::from_raw_os_error(5)),
            ErrorKind::Source,
            "a compressed frame that was kept: can't be read: input/output error; leave out the cache, or check \
             the disk that holds it",
        ),
        (
            AssemblyError::Compressor(io::Error::other("Out of memory")),
            ErrorKind::Internal,
            "the compressor: out of memory; ask for a lower level or for fewer threads, or raise the limits of \
             processes and memory (ulimit -u, ulimit -v)",
        ),
    ] {
        assert_eq!((error.to_string().as_str(), error.kind()), (text, kind));
    }
}

#[test]
fn a_refusal_says_what_is_wrong_and_what_to_do() {
    for (refusal, text) in [
        (Refusal::Directory, "is a directory; choose another name"),
        (Refusal::Socket, "is a socket; choose another name"),
        (Refusal::NoName, "names a folder; add a file name"),
        (Refusal::NoFolder, "its folder does not exist; create it first"),
        (Refusal::SymlinkLoop, "its symlinks form a loop; remove them"),
        (Refusal::UnaskedDevice, "is a block device; ask for a device to overwrite it"),
        (Refusal::NoDevice, "no such device; name one, or ask for a file"),
        (Refusal::NotADevice, "is not a block device; name one, or ask for a file"),
        (Refusal::DeviceInUse, "is mounted or in use; unmount it first"),
        (
            Refusal::DeviceTooSmall { has: 4096, needs: 8192 },
            "holds 4096 bytes, the image needs 8192; use a larger device",
        ),
        (
            Refusal::OtherSectors { has: 4096, needs: 512 },
            "has sectors of 4096 bytes, the image's partition table counts in 512; use another device",
        ),
        (
            Refusal::Unfaithful,
            "gives back other bytes than were written to it; it is broken or smaller than it says, use another",
        ),
        (
            Refusal::CompressedDevice,
            "is a device, which can't hold a compressed image; leave out the compression",
        ),
        (Refusal::Stream, "can't be read again, so it can't be checked; write to a file"),
        (
            Refusal::PatchedStream,
            "is a stream, but the header of this format is written last; write to a file, then copy that",
        ),
        (Refusal::Patches, "can't go back to hashes that are known only at the end; write to a regular file"),
    ] {
        let error = AssemblyError::refused(Path::new("/x"), refusal);
        assert_eq!(error.to_string(), format!("/x: {text}"));
    }
}

#[test]
fn advice_depends_on_why_an_output_can_not_be_written() {
    for (kinds, text) in [
        (&[Io::StorageFull, Io::QuotaExceeded][..], "free some space or choose another place"),
        (&[Io::PermissionDenied, Io::ReadOnlyFilesystem], "choose a place that you may write to"),
        (&[Io::FileTooLarge], "choose a file system that holds files of this length"),
        (&[Io::InvalidData], "choose another format"),
        (&[Io::BrokenPipe], "see why its reader ended early"),
        (&[Io::TimedOut, Io::Other], "choose another place"),
    ] {
        for &kind in kinds {
            let error = AssemblyError::output(Path::new("/x"), kind);
            assert_eq!(error.explain().help, text, "{kind:?}");
        }
    }
}

/// Of all errors of a stream, only those of the compressor have neither a number nor a kind.
#[test]
fn an_error_of_the_compressor_is_not_one_of_the_output() {
    let of_output = OutputError(io::Error::other("disk on fire"));
    for (error, is_compressor) in [
        (io::Error::other("Allocation error : not enough memory"), true),
        (io::Error::from_raw_os_error(28), false),
        // Linux has no such number, so the error has no kind.
        (io::Error::from_raw_os_error(4000), false),
        (io::Error::from(Io::InvalidData), false),
        (io::Error::other(of_output), false),
    ] {
        let shown = error.to_string();
        let is = matches!(AssemblyError::sink(Path::new("/x"), error), AssemblyError::Compressor(_));
        assert_eq!(is, is_compressor, "{shown}");
    }
}

#[test]
fn of_several_errors_the_first_in_the_image_is_kept() {
    let at = |place: &str| AssemblyError::Ended { path: place.into() };
    let mut first = FirstError::default();
    assert!(!first.is_set() && first.take().is_ok());
    for (place, kept) in [(5, "5"), (7, "5"), (3, "3"), (4, "3"), (0, "0")] {
        first.add(place, at(&place.to_string()));
        assert!(first.is_set());
        assert!(matches!(&first.0, Some((_, AssemblyError::Ended { path })) if path == kept));
    }
    assert!(first.take().is_err() && first.take().is_ok());
}
