use image_tree::NodeId;

/// Sees the contents of files on their way into an image, so that nobody has to read them again.
pub trait Witness {
    /// The next bytes of a file. Files come in the order of the image, each from its start to its end.
    fn see(&mut self, file: NodeId, bytes: &[u8]);

    /// Whether the image may appear; asked once, after the last byte. The witness keeps what it has against it.
    fn agrees(&mut self) -> bool;
}
