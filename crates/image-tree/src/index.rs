//! Indexes of 32 bits. Each kind has its own type, so they can't be mixed up.

/// Defines an index type. The second argument is the visibility of `from_index`.
macro_rules! index_type {
    ($(#[$doc:meta])* $name:ident, $from_index:vis) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(u32);

        impl $name {
            /// Converts from a position in a list; `None` above 2³² − 1.
            #[must_use]
            $from_index fn from_index(index: usize) -> Option<Self> {
                u32::try_from(index).ok().map(Self)
            }

            /// The position in a list.
            #[must_use]
            #[expect(clippy::as_conversions, reason = "usize holds every u32 on the 64-bit targets that we support")]
            pub const fn index(self) -> usize {
                self.0 as usize
            }
        }
    };
}

index_type! {
    /// The index of a node in its tree, in depth-first order; 0 is the root directory.
    NodeId, pub
}

index_type! {
    /// The index of a tree among the trees of an image.
    TreeId, pub
}

index_type! {
    /// The index of a [`Metadata`](crate::Metadata) in a tree.
    MetadataId, pub(crate)
}

index_type! {
    /// The index of an [`Origin`](crate::Origin) in a tree.
    OriginId, pub(crate)
}

impl NodeId {
    /// The root directory.
    pub const ROOT: Self = Self(0);

    /// The node after this one in depth-first order, if the tree has one.
    #[must_use]
    pub(crate) const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl MetadataId {
    /// The metadata of the root directory.
    pub(crate) const FIRST: Self = Self(0);

    /// The id at a position among the tree's metadata.
    pub(crate) fn of_position(index: usize) -> Self {
        Self::from_index(index).expect("invariant: memory does not hold the metadata of 2³² kinds of nodes")
    }
}

impl TreeId {
    /// The first tree; the only one if the image is one file system.
    pub const FIRST: Self = Self(0);
}
