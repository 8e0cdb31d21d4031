use std::marker::PhantomData;

/// A mutable slice that several threads write to, each thread to ranges of its own.
pub(crate) struct DisjointMut<'a, T> {
    start: *mut T,
    len: usize,
    slice: PhantomData<&'a mut [T]>,
}

// SAFETY: equivalent to sending `&mut [T]`, which is sound when T is Send.
unsafe impl<T: Send> Send for DisjointMut<'_, T> {}
// SAFETY: all that a shared reference permits is `slice_mut`, whose caller promises that ranges in use do not overlap.
unsafe impl<T: Send> Sync for DisjointMut<'_, T> {}

impl<T> Clone for DisjointMut<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for DisjointMut<'_, T> {}

impl<'a, T> DisjointMut<'a, T> {
    pub fn new(slice: &'a mut [T]) -> Self {
        DisjointMut { start: slice.as_mut_ptr(), len: slice.len(), slice: PhantomData }
    }

    /// Elements `first..first + len`.
    ///
    /// # Safety
    /// No two ranges that are in use at the same time overlap.
    ///
    /// # Panics
    /// If the slice ends before.
    #[inline(always)]
    pub unsafe fn slice_mut<'p>(self, first: usize, len: usize) -> &'p mut [T]
    where
        'a: 'p,
    {
        assert!(first <= self.len && len <= self.len - first, "the range ends beyond the slice");
        // SAFETY: the range lies within the slice, which is borrowed for 'a; the caller says that nobody else uses it.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(first), len) }
    }
}
