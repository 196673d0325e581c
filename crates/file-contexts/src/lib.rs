//! Reads `file_contexts` of `SELinux` and finds the label of a path, as `setfiles` does. No I/O.
//!
//! The rules are those of libselinux (`label_file.c`, compared with version 3.4): each line has a regular expression, which must
//! match the whole path, an optional file type, and a context. Lines without a special character of regular expressions take
//! precedence over those with one; among each, the last line that matches wins. Policies install their files sorted, so that this
//! is the most specific line.
//!
//! | module | purpose |
//! |---|---|
//! | `contexts` | all lines in the order of their precedence, and the lookup |
//! | `expression` | regular expressions of PCRE2, translated for the crate `regex` |
//! | `spec` | one line |
//! | `substitutions` | other names of paths: `file_contexts.subs` and `file_contexts.subs_dist` |

mod contexts;
mod error;
mod expression;
mod spec;
mod substitutions;

pub use contexts::{FileContexts, Texts};
pub use error::{InvalidContexts, Part};
pub use spec::FileKind;
