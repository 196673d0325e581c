use crate::escaped;

/// An extended attribute: a name, and a value of any bytes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Xattr {
    /// Namespace and name.
    pub name: XattrName,
    /// The value as `getxattr` returns it; at most 64 KiB (`XATTR_SIZE_MAX`).
    pub value: Vec<u8>,
}

impl std::fmt::Debug for Xattr {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}={} bytes", self.name, self.value.len())
    }
}

/// The namespaces of extended attributes on ext4.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum XattrNamespace {
    /// `user.*`
    User,
    /// `system.posix_acl_access`, a complete name
    PosixAclAccess,
    /// `system.posix_acl_default`, a complete name
    PosixAclDefault,
    /// `trusted.*`
    Trusted,
    /// `security.*`
    Security,
}

/// The name of an extended attribute: a namespace and, except for ACLs, at least one byte after it. At most 255 bytes in
/// all, the limit of Linux (`XATTR_NAME_MAX`).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct XattrName {
    namespace: XattrNamespace,
    suffix: Vec<u8>,
}

/// The error for bytes that are not the name of an extended attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum InvalidXattr {
    /// A namespace that ext4 does not have.
    Namespace(Vec<u8>),
    /// A name with nothing or a NUL after the namespace, or of more than 255 bytes.
    Suffix(Vec<u8>),
}

impl std::fmt::Display for InvalidXattr {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Namespace(name) => write!(
                f,
                "the extended attribute \"{}\" is in no namespace of ext4 (user., trusted., security., \
                 system.posix_acl_access, system.posix_acl_default)",
                escaped(name)
            ),
            Self::Suffix(name) => write!(
                f,
                "the name of the extended attribute \"{}\" must have at least one byte after its namespace, \
                 at most 255 in all, and no NUL",
                escaped(name)
            ),
        }
    }
}

impl std::error::Error for InvalidXattr {}

impl XattrName {
    /// Parses a full name such as `user.comment` or `security.capability`.
    pub fn parse(full: &[u8]) -> Result<Self, InvalidXattr> {
        let prefixes = [
            (&b"user."[..], XattrNamespace::User),
            (b"trusted.", XattrNamespace::Trusted),
            (b"security.", XattrNamespace::Security),
        ];
        if full == b"system.posix_acl_access" {
            return Ok(Self { namespace: XattrNamespace::PosixAclAccess, suffix: Vec::new() });
        }
        if full == b"system.posix_acl_default" {
            return Ok(Self { namespace: XattrNamespace::PosixAclDefault, suffix: Vec::new() });
        }
        for (prefix, namespace) in prefixes {
            if let Some(suffix) = full.strip_prefix(prefix) {
                if suffix.is_empty() || full.len() > 255 || suffix.contains(&0) {
                    return Err(InvalidXattr::Suffix(full.to_vec()));
                }
                return Ok(Self { namespace, suffix: suffix.to_vec() });
            }
        }
        Err(InvalidXattr::Namespace(full.to_vec()))
    }

    /// The namespace.
    #[must_use]
    pub fn namespace(&self) -> XattrNamespace {
        self.namespace
    }

    /// The rest after the namespace, at least one byte; empty for ACLs.
    #[must_use]
    pub fn suffix(&self) -> &[u8] {
        &self.suffix
    }
}

impl std::fmt::Display for XattrName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let prefix = match self.namespace {
            XattrNamespace::User => "user.",
            XattrNamespace::PosixAclAccess => "system.posix_acl_access",
            XattrNamespace::PosixAclDefault => "system.posix_acl_default",
            XattrNamespace::Trusted => "trusted.",
            XattrNamespace::Security => "security.",
        };
        write!(f, "{prefix}{}", escaped(&self.suffix))
    }
}

impl std::fmt::Debug for XattrName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "\"{self}\"")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_full_names_into_namespace_and_suffix() {
        let capability = XattrName::parse(b"security.capability").unwrap();
        assert_eq!(
            (capability.namespace(), capability.suffix()),
            (XattrNamespace::Security, &b"capability"[..])
        );
        assert_eq!(capability.to_string(), "security.capability");
        let acl = XattrName::parse(b"system.posix_acl_access").unwrap();
        assert_eq!((acl.namespace(), acl.suffix()), (XattrNamespace::PosixAclAccess, &b""[..]));
        assert!(matches!(XattrName::parse(b"user."), Err(InvalidXattr::Suffix(_))));
        assert!(matches!(XattrName::parse(b"system.other"), Err(InvalidXattr::Namespace(_))));
        assert!(XattrName::parse(&[b"user.", &[b'x'; 250][..]].concat()).is_ok());
        assert!(XattrName::parse(&[b"user.", &[b'x'; 251][..]].concat()).is_err());
    }
}
