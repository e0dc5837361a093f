//! Aligned `f32` storage that is used again instead of being given back.
//!
//! A training step allocates the same few hundred megabytes over and over. Fresh pages from the system cost up to 40 %
//! of a step, so a [`Buffer`] hands its storage back to its [`Pool`] when it is dropped.

use std::collections::BTreeMap;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, PoisonError};

const LANES: usize = 16;

/// One cache line: the unit of allocation, so that every buffer starts on a 64-byte boundary.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([f32; LANES]);

/// A contiguous run of `f32` values that starts on a cache line.
#[derive(Debug)]
pub struct Buffer {
    lines: Box<[Line]>,
    len: usize,
    pool: Option<Pool>,
}

impl std::fmt::Debug for Line {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(formatter)
    }
}

impl Buffer {
    /// `len` zeros. Pages that are never touched cost nothing.
    pub fn zeros(len: usize) -> Self {
        let lines = len.div_ceil(LANES);
        // SAFETY: all-zero bytes are valid `f32` values, and `Line` is a plain array of them.
        let lines = unsafe { Box::<[Line]>::new_zeroed_slice(lines).assume_init() };
        Self { lines, len, pool: None }
    }

    /// A copy of `values`.
    pub fn copy_of(values: &[f32]) -> Self {
        let mut buffer = Self::zeros(values.len());
        buffer.copy_from_slice(values);
        buffer
    }
}

impl Deref for Buffer {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        // SAFETY: the lines are contiguous, hold at least `len` initialised values (`Pool::take` and `zeros` see to
        // it) and live as long as `self`.
        unsafe { std::slice::from_raw_parts(self.lines.as_ptr().cast(), self.len) }
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [f32] {
        // SAFETY: as in `deref`, and `&mut self` makes the access exclusive.
        unsafe { std::slice::from_raw_parts_mut(self.lines.as_mut_ptr().cast(), self.len) }
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if let Some(pool) = self.pool.take() {
            pool.give(std::mem::take(&mut self.lines));
        }
    }
}

/// Keeps the storage of dropped buffers and hands it out again. Cloning gives another handle on the same pool.
#[derive(Clone, Debug, Default)]
pub struct Pool {
    free: Arc<Mutex<BTreeMap<usize, Stack>>>,
}

/// Free storage of one size.
type Stack = Vec<Box<[Line]>>;

impl Pool {
    /// An empty pool.
    pub fn new() -> Self {
        Self::default()
    }

    /// A buffer of `len` values whose content is whatever was there before: the caller overwrites it.
    pub(crate) fn take(&self, len: usize) -> Buffer {
        // Rounding to an eighth of the power of two below lets batches of slightly different sizes share storage.
        let needed = len.div_ceil(LANES).max(1);
        let step = (needed.next_power_of_two() / 16).max(1);
        let lines = needed.next_multiple_of(step);
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let found = free.range(lines..=lines * 2).next().map(|(&size, _)| size);
        let reused = found.and_then(|size| {
            let stack = free.get_mut(&size)?;
            let storage = stack.pop();
            if stack.is_empty() {
                free.remove(&size);
            }
            storage
        });
        drop(free);
        let mut buffer = match reused {
            Some(lines) => Buffer { lines, len: 0, pool: None },
            None => Buffer::zeros(lines * LANES),
        };
        buffer.len = len;
        buffer.pool = Some(self.clone());
        buffer
    }

    fn give(&self, lines: Box<[Line]>) {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        free.entry(lines.len()).or_default().push(lines);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dropped_storage_is_handed_out_again() {
        let pool = Pool::new();
        let first = pool.take(1000);
        let address = first.as_ptr();
        drop(first);
        let second = pool.take(1001);
        assert_eq!(second.as_ptr(), address);
        assert_eq!(second.len(), 1001);
        assert_ne!(pool.take(1000).as_ptr(), address);
    }

    #[test]
    fn buffers_start_on_a_cache_line() {
        assert_eq!(Buffer::zeros(3).as_ptr() as usize % 64, 0);
        assert!(Buffer::zeros(0).is_empty());
    }
}
