use std::marker::PhantomData;

/// A slice that several threads write to, each to places of its own.
pub(crate) struct Shared<'a, T> {
    start: *mut T,
    len: usize,
    slice: PhantomData<&'a mut [T]>,
}

// SAFETY: it is as a mutable slice, from which threads may be given pieces, where elements may go to other threads.
unsafe impl<T: Send> Send for Shared<'_, T> {}
// SAFETY: as above; `piece` asks for what makes concurrent use sound.
unsafe impl<T: Send> Sync for Shared<'_, T> {}

impl<T> Clone for Shared<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Shared<'_, T> {}

impl<'a, T> Shared<'a, T> {
    pub fn new(slice: &'a mut [T]) -> Self {
        Shared { start: slice.as_mut_ptr(), len: slice.len(), slice: PhantomData }
    }

    /// `len` elements from `first` on.
    ///
    /// # Safety
    /// No two pieces overlap that are in use at the same time.
    ///
    /// # Panics
    /// If the slice ends before.
    #[inline(always)]
    pub unsafe fn piece<'p>(self, first: usize, len: usize) -> &'p mut [T]
    where
        'a: 'p,
    {
        assert!(first <= self.len && len <= self.len - first, "a piece beyond the slice");
        // SAFETY: these elements are there, for as long as 'a, and nobody else uses them, as the caller says.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(first), len) }
    }
}
