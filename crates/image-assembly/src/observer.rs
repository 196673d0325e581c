use std::error::Error;
use std::fs::File;

use image_tree::FileRef;

/// The reason why an observer or a validator rejects an image, returned in [`crate::AssemblyError::Rejected`].
pub type Rejection = Box<dyn Error + Send + Sync>;

/// Reads the written image before it gets its name.
pub(crate) type Validator<'v> = dyn FnOnce(&File) -> Result<(), Rejection> + 'v;

/// Observes the bytes of an image in order while it is written, and can reject the image at the end. No bytes are read a second
/// time for it. Called from one thread.
pub trait Observer {
    /// The next bytes of a file, without holes. Files are in the order of the image, each from its start to its end. The same
    /// bytes are also passed to [`Self::bytes`] or [`Self::zeros`].
    fn file_bytes(&mut self, file: FileRef, bytes: &[u8]) {
        let _ = (file, bytes);
    }

    /// The next bytes of the image.
    fn bytes(&mut self, bytes: &[u8]) {
        let _ = bytes;
    }

    /// The next `len` \[bytes\] of the image are zeros.
    fn zeros(&mut self, len: u64) {
        let _ = len;
    }

    /// Called once, after the last byte.
    ///
    /// # Errors
    /// Fails if the image is rejected.
    fn finish(&mut self) -> Result<(), Rejection> {
        Ok(())
    }
}

/// Several observers, called in order.
pub(crate) struct Observers<'o>(pub(crate) Vec<&'o mut dyn Observer>);

impl Observer for Observers<'_> {
    fn file_bytes(&mut self, file: FileRef, bytes: &[u8]) {
        self.0.iter_mut().for_each(|observer| observer.file_bytes(file, bytes));
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.0.iter_mut().for_each(|observer| observer.bytes(bytes));
    }

    fn zeros(&mut self, len: u64) {
        self.0.iter_mut().for_each(|observer| observer.zeros(len));
    }

    fn finish(&mut self) -> Result<(), Rejection> {
        self.0.iter_mut().try_for_each(|observer| observer.finish())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::file;

    /// Notes what it is told, with its name.
    struct Notes<'n>(char, &'n std::cell::RefCell<Vec<String>>, bool);

    impl Observer for Notes<'_> {
        fn file_bytes(&mut self, _: FileRef, bytes: &[u8]) {
            self.1.borrow_mut().push(format!("{}f{} ", self.0, bytes.len()));
        }

        fn bytes(&mut self, bytes: &[u8]) {
            self.1.borrow_mut().push(format!("{}b{} ", self.0, bytes.len()));
        }

        fn zeros(&mut self, len: u64) {
            self.1.borrow_mut().push(format!("{}z{len} ", self.0));
        }

        fn finish(&mut self) -> Result<(), Rejection> {
            self.1.borrow_mut().push(format!("{}end ", self.0));
            if self.2 { Err("rejected".into()) } else { Ok(()) }
        }
    }

    #[test]
    fn observers_are_called_in_their_order_until_one_rejects_the_image() {
        let notes = std::cell::RefCell::default();
        let mut three = [Notes('a', &notes, false), Notes('b', &notes, true), Notes('c', &notes, false)];
        let mut observers = Observers(three.iter_mut().map(|notes| -> &mut dyn Observer { notes }).collect());
        observers.file_bytes(file(0), &[1; 2]);
        observers.bytes(&[1; 3]);
        observers.zeros(4);
        assert!(observers.finish().is_err());
        assert_eq!(notes.borrow().concat(), "af2 bf2 cf2 ab3 bb3 cb3 az4 bz4 cz4 aend bend ");
    }
}
