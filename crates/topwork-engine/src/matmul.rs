//! Matrix products: the `gemm` crate's kernels behind views that are checked.

use gemm::Parallelism;

/// A matrix to read: `rows × columns` values at `row_stride` and `column_stride`.
#[derive(Clone, Copy)]
pub(crate) struct View<'a> {
    data: &'a [f32],
    rows: usize,
    columns: usize,
    row_stride: usize,
    column_stride: usize,
}

impl<'a> View<'a> {
    /// A contiguous row-major matrix.
    pub(crate) fn new(data: &'a [f32], rows: usize, columns: usize) -> Self {
        Self::strided(data, rows, columns, columns)
    }

    /// A row-major block of a wider matrix: row `i` starts at `i * row_stride`.
    pub(crate) fn strided(data: &'a [f32], rows: usize, columns: usize, row_stride: usize) -> Self {
        assert!(rows == 0 || (rows - 1) * row_stride + columns <= data.len(), "view outside of its data");
        Self { data, rows, columns, row_stride, column_stride: 1 }
    }

    /// The same matrix with rows and columns exchanged.
    pub(crate) fn transposed(self) -> Self {
        Self {
            rows: self.columns,
            columns: self.rows,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
            ..self
        }
    }
}

/// A row-major block to write, possibly within a wider matrix that other threads write elsewhere.
#[derive(Clone, Copy)]
pub(crate) struct BlockMut {
    start: *mut f32,
    rows: usize,
    columns: usize,
    row_stride: usize,
}

impl BlockMut {
    /// A whole contiguous matrix.
    pub(crate) fn new(data: &mut [f32], rows: usize, columns: usize) -> Self {
        assert_eq!(data.len(), rows * columns, "block does not fit its data");
        Self { start: data.as_mut_ptr(), rows, columns, row_stride: columns }
    }
}

/// A matrix `[rows, width]` whose disjoint blocks are written by several threads.
#[derive(Clone, Copy)]
pub(crate) struct Shared {
    start: *mut f32,
    len: usize,
    width: usize,
}

// SAFETY: a `Shared` only hands out blocks through the unsafe `block`, whose caller promises that no two of them that
// are in use at the same time overlap.
unsafe impl Send for Shared {}
// SAFETY: as for `Send`.
unsafe impl Sync for Shared {}

impl Shared {
    pub(crate) fn new(data: &mut [f32], width: usize) -> Self {
        Self { start: data.as_mut_ptr(), len: data.len(), width }
    }

    /// The block of `rows × columns` whose first element is at (`row`, `column`).
    ///
    /// # Safety
    /// The matrix outlives the block's use, and no block that overlaps this one is used at the same time.
    pub(crate) unsafe fn block(self, row: usize, column: usize, rows: usize, columns: usize) -> BlockMut {
        assert!(column + columns <= self.width && (row + rows) * self.width <= self.len, "block outside of its matrix");
        // SAFETY: the first element lies within the matrix, as just checked.
        let start = unsafe { self.start.add(row * self.width + column) };
        BlockMut { start, rows, columns, row_stride: self.width }
    }
}

impl Shared {
    /// Writes one element.
    ///
    /// # Safety
    /// As for [`Shared::block`].
    pub(crate) unsafe fn set(self, row: usize, column: usize, value: f32) {
        assert!(column < self.width && (row + 1) * self.width <= self.len, "element outside of its matrix");
        // SAFETY: the element lies within the matrix, as just checked, and nothing else uses it now.
        unsafe { self.start.add(row * self.width + column).write(value) }
    }
}

/// Whether the product replaces what is in the target or is added to it.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Write {
    Replace,
    Add,
}

impl From<bool> for Write {
    fn from(accumulate: bool) -> Self {
        if accumulate { Write::Add } else { Write::Replace }
    }
}

/// `target = scale · left × right`, or `target += …`, on all threads. The bits do not depend on their number.
pub(crate) fn matmul(target: &mut [f32], write: Write, scale: f32, left: View<'_>, right: View<'_>) {
    let block = BlockMut::new(target, left.rows, right.columns);
    // SAFETY: `block` covers `target`, which is borrowed exclusively.
    unsafe { multiply(block, write, scale, left, right, Parallelism::Rayon(0)) }
}

/// The same on the calling thread alone, into a block of a larger matrix.
///
/// # Safety
/// The block is alive and nothing else reads or writes it during the call.
pub(crate) unsafe fn matmul_block(target: BlockMut, write: Write, scale: f32, left: View<'_>, right: View<'_>) {
    // SAFETY: as the caller promises.
    unsafe { multiply(target, write, scale, left, right, Parallelism::None) }
}

/// # Safety
/// As for [`matmul_block`].
unsafe fn multiply(target: BlockMut, write: Write, scale: f32, left: View<'_>, right: View<'_>, threads: Parallelism) {
    assert_eq!(left.columns, right.rows, "inner sizes of a product");
    assert_eq!((target.rows, target.columns), (left.rows, right.columns), "target of a product");
    // SAFETY: views and block lie within live data (checked on construction), their sizes agree (checked above), and
    // the caller has exclusive access to the target.
    unsafe {
        gemm::gemm(
            target.rows,
            target.columns,
            left.columns,
            target.start,
            1,
            target.row_stride as isize,
            write == Write::Add,
            left.data.as_ptr(),
            left.column_stride as isize,
            left.row_stride as isize,
            right.data.as_ptr(),
            right.column_stride as isize,
            right.row_stride as isize,
            1.0,
            scale,
            false,
            false,
            false,
            threads,
        );
    }
}
