use image_tree::FileRef;

/// Sees what goes into an image, on its way, so that nobody has to read them again.
pub trait Witness {
    /// The next bytes of a file. Files come in the order of the image, each from its start to its end.
    fn see(&mut self, file: FileRef, bytes: &[u8]);

    /// The next bytes of the image, whatever they are.
    fn bytes(&mut self, _bytes: &[u8]) {}

    /// The next bytes of the image are zeros.
    fn zeros(&mut self, _len: u64) {}

    /// Whether the image may appear; asked once, after the last byte. The witness keeps what it has against it.
    fn agrees(&mut self) -> bool;
}
