//! A matrix on a buffer.

use crate::buffer::{Buffer, Pool};

/// A row-major matrix `[rows, columns]`. The token axis is always the rows.
#[derive(Debug)]
pub struct Tensor {
    data: Buffer,
    rows: usize,
    columns: usize,
}

impl Tensor {
    /// A matrix from values in row-major order.
    ///
    /// # Panics
    /// When `values.len() != rows * columns`.
    pub fn from_values(values: &[f32], rows: usize, columns: usize) -> Self {
        assert_eq!(values.len(), rows * columns, "{rows} × {columns} values");
        Self { data: Buffer::copy_of(values), rows, columns }
    }

    /// A matrix with unspecified content, on storage from `pool`.
    pub(crate) fn take(pool: &Pool, rows: usize, columns: usize) -> Self {
        Self { data: pool.take(rows * columns), rows, columns }
    }

    /// The number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The number of columns.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// The values in row-major order.
    pub fn values(&self) -> &[f32] {
        &self.data
    }

    /// The values in row-major order, to write.
    pub fn values_mut(&mut self) -> &mut [f32] {
        &mut self.data
    }
}
