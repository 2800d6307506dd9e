//! A list that keeps a single element without a heap allocation.

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;
use std::{
    fmt,
    ops::{Deref, DerefMut},
};

/// A growable list, as `Vec`, that keeps its first element inline: a list of one element needs no allocation.
///
/// Nearly all orders have one line and nearly all entries one change, so this is what they are made of. It reads as a
/// slice, is made from an iterator, a `Vec` or an array, and is serialised as a sequence.
///
/// ```
/// use bookstore_core::InlineList;
///
/// let mut list = InlineList::from([1, 2]);
/// list.push(3);
/// assert_eq!(list[..], [1, 2, 3]);
/// assert_eq!(list.iter().sum::<i32>(), 6);
/// assert_eq!(list.into_iter().map(|n| n * 2).collect::<InlineList<_>>(), InlineList::from(vec![2, 4, 6]));
/// ```
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct InlineList<T>(SmallVec<[T; 1]>);

impl<T> InlineList<T> {
    /// An empty list.
    #[must_use]
    pub fn new() -> Self {
        Self(SmallVec::new())
    }

    /// An empty list with room for this many elements. Room for one costs nothing.
    #[must_use]
    pub fn with_capacity(capacity: usize) -> Self {
        Self(SmallVec::with_capacity(capacity))
    }

    /// Appends an element.
    pub fn push(&mut self, element: T) {
        self.0.push(element);
    }
}

impl<T: Copy> InlineList<T> {
    /// A copy of a slice, in one piece where `clone` takes element by element.
    #[must_use]
    pub fn from_slice(slice: &[T]) -> Self {
        Self(SmallVec::from_slice(slice))
    }
}

impl<T> Default for InlineList<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: fmt::Debug> fmt::Debug for InlineList<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<T> Deref for InlineList<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<T> DerefMut for InlineList<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.0
    }
}

impl<T> FromIterator<T> for InlineList<T> {
    fn from_iter<I: IntoIterator<Item = T>>(elements: I) -> Self {
        Self(elements.into_iter().collect())
    }
}

impl<T> From<Vec<T>> for InlineList<T> {
    fn from(elements: Vec<T>) -> Self {
        Self(SmallVec::from_vec(elements))
    }
}

impl<T, const N: usize> From<[T; N]> for InlineList<T> {
    fn from(elements: [T; N]) -> Self {
        elements.into_iter().collect()
    }
}

/// The elements of an [`InlineList`], by value.
#[derive(Debug)]
pub struct IntoIter<T>(smallvec::IntoIter<[T; 1]>);

impl<T> Iterator for IntoIter<T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        self.0.next()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

impl<T> IntoIterator for InlineList<T> {
    type Item = T;
    type IntoIter = IntoIter<T>;

    fn into_iter(self) -> IntoIter<T> {
        IntoIter(self.0.into_iter())
    }
}

impl<'a, T> IntoIterator for &'a InlineList<T> {
    type Item = &'a T;
    type IntoIter = std::slice::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<'a, T> IntoIterator for &'a mut InlineList<T> {
    type Item = &'a mut T;
    type IntoIter = std::slice::IterMut<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter_mut()
    }
}
