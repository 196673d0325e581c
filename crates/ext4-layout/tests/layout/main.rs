//! Layouts of every shape and size, written out and judged by e2fsck.

mod shapes;
mod sizes;
mod support;
