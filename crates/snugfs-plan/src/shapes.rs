//! Shapes of fields: the type of a value and its limits, for the decoder and the schema.

use crate::choices::Keys;

/// The shape of a value.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Shape {
    /// The version of the plan's format.
    Version,
    /// A path of this machine.
    HostPath,
    /// A path in the image.
    ImagePath,
    /// A reference graph: its list, a file, or a name among the structured attributes.
    Graph,
    /// One of these words.
    Word(&'static dyn Keys<&'static str>),
    /// A size.
    Size(SizeRule),
    /// A size, or a word that stands for a rule.
    SizeOr(SizeRule, &'static str),
    /// A whole number.
    Count(CountRule),
    /// One of these whole numbers.
    Number(&'static dyn Keys<u64>),
    /// Percent, to the thousandth.
    Percent,
    /// Octal permission bits.
    Mode,
    /// A UUID.
    Uuid,
    /// Whether there is a hash tree, or an object with its parameters.
    Verity,
    /// Bytes of a salt, in hexadecimal.
    Salt,
    /// The root, or the index of a partition.
    VolumeRef,
    /// A label of ext4.
    Label,
    /// Any text.
    Text,
    /// The target of a symlink.
    LinkTarget,
    /// The name of a file in an archive.
    Member,
    /// The name of a file in a folder.
    FileName,
    /// Names of extended attributes with their values.
    Xattrs,
    /// A list of names of extended attributes, which may end in `*`.
    XattrPatterns,
    /// A list of patterns of gitignore.
    Patterns,
    /// True or false.
    Flag,
    /// An object with known fields.
    Object(&'static Table),
    /// A list of such objects.
    List(&'static Table),
    /// Such objects by their path in the image.
    ByPath(&'static Table),
    /// Entries by their path in the image.
    Entries,
    /// Entries by their path in a FAT file system.
    FatEntries,
    /// The boot loader.
    Boot,
    /// Texts by name.
    Texts,
    /// A list of texts.
    TextList,
    /// Paths of this machine, by relative path.
    HostPaths,
    /// A 32-bit number for an MBR, a GUID for a GPT.
    DiskId,
    /// The type of a partition: a number or a name, or a GUID.
    PartitionType,
    /// The name of a partition.
    PartitionName,
    /// A label of FAT.
    FatLabel,
    /// A label of a swap area.
    SwapLabel,
    /// The contents of a partition.
    Content,
    /// The compression of an image.
    Compression,
}

/// Limits of a size, in \[bytes\].
#[derive(Clone, Copy, Debug)]
pub(crate) struct SizeRule {
    /// Minimum.
    pub(crate) min: u64,
    /// Maximum.
    pub(crate) max: u64,
    /// Sizes must be multiples of this.
    pub(crate) step: u64,
    /// Whether 0 is also allowed.
    pub(crate) or_zero: bool,
}

/// Limits of a whole number.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CountRule {
    /// Minimum.
    pub(crate) min: u64,
    /// Maximum.
    pub(crate) max: u64,
}

/// One field of an object.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Field {
    /// Its key.
    pub(crate) name: &'static str,
    /// Its possible values.
    pub(crate) shape: Shape,
    /// Whether it is required, or its default.
    pub(crate) presence: Presence,
    /// Whether null is allowed: as "not given", or with its own meaning.
    pub(crate) nullable: bool,
    /// The default where the object is sealed, in JSON, if that is another.
    pub(crate) if_sealed: Option<&'static str>,
    /// Description for the schema.
    pub(crate) about: &'static str,
}

/// Whether a field may be left out.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Presence {
    /// No; the text is an example for the error.
    Required(&'static str),
    /// Yes, and it has no default.
    Optional,
    /// Yes; its default, in JSON.
    Default(&'static str),
}

/// An object's fields.
#[derive(Debug)]
pub(crate) struct Table {
    /// The object's name, with an article.
    pub(crate) what: &'static str,
    /// The fields, in the order in which the documentation has them.
    pub(crate) fields: &'static [Field],
    /// Which fields exclude or need one another: the `oneOf` of the schema, in JSON; empty for none. The decoder
    /// repeats this in code, for better messages.
    pub(crate) one_of: &'static str,
}

impl Table {
    /// The field with this name.
    pub(crate) fn field(&self, name: &str) -> Option<&'static Field> {
        self.fields.iter().find(|field| field.name == name)
    }
}

impl Field {
    const fn with(name: &'static str, shape: Shape, presence: Presence, about: &'static str) -> Self {
        Self { name, shape, presence, nullable: false, if_sealed: None, about }
    }

    /// A required field. The error for a missing one shows `example`.
    pub(crate) const fn required(
        name: &'static str,
        shape: Shape,
        example: &'static str,
        about: &'static str,
    ) -> Self {
        Self::with(name, shape, Presence::Required(example), about)
    }

    /// A field that may be left out, without a default.
    pub(crate) const fn optional(name: &'static str, shape: Shape, about: &'static str) -> Self {
        Self::with(name, shape, Presence::Optional, about)
    }

    /// A field with a default, in JSON.
    pub(crate) const fn default(
        name: &'static str,
        shape: Shape,
        default: &'static str,
        about: &'static str,
    ) -> Self {
        Self::with(name, shape, Presence::Default(default), about)
    }

    /// The same field, which may be null.
    pub(crate) const fn or_null(self) -> Self {
        Self { nullable: true, ..self }
    }

    /// The same field with another default where the object is sealed, in JSON.
    pub(crate) const fn if_sealed(self, default: &'static str) -> Self {
        Self { if_sealed: Some(default), ..self }
    }
}
