//! Words and numbers that a field may hold, and what each of them means: the only list of both.

use std::fmt::Debug;

/// What a field may hold, with the meaning of each.
#[derive(Debug)]
pub(crate) struct Choices<K: 'static, T: 'static>(pub(crate) &'static [(K, T)]);

/// A choice of words.
pub(crate) type Words<T> = Choices<&'static str, T>;
/// A choice of whole numbers.
pub(crate) type Numbers<T> = Choices<u64, T>;

impl<K, T: Copy> Choices<K, T> {
    /// The meaning of the word or number that `is_meant`.
    pub(crate) fn find(&self, is_meant: impl Fn(&K) -> bool) -> Option<T> {
        self.0.iter().find_map(|(key, meaning)| is_meant(key).then_some(*meaning))
    }
}

/// A choice as the tables have it, where the meanings do not matter.
pub(crate) trait Keys<K>: Debug + Sync {
    /// The words or numbers, in their order.
    fn keys(&self) -> Vec<K>;
}

impl<K: Copy + Debug + Sync, T: Debug + Sync> Keys<K> for Choices<K, T> {
    fn keys(&self) -> Vec<K> {
        self.0.iter().map(|&(key, _)| key).collect()
    }
}
