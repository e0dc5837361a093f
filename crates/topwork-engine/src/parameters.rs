//! Named parameters, and the gradients that are collected for them.

use crate::buffer::Buffer;

/// The place of a parameter in its [`Parameters`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ParameterId(usize);

impl ParameterId {
    /// How many parameters were added before it.
    pub fn index(self) -> usize {
        self.0
    }
}

/// A named tensor that training may change.
#[derive(Debug)]
pub struct Parameter {
    /// The name in the checkpoint.
    pub name: String,
    /// The shape in the checkpoint: `[out, in]` for a linear weight, `[rows, width]` for an embedding table.
    pub shape: Vec<usize>,
    /// The values in row-major order.
    pub values: Buffer,
    /// Whether gradients are computed for it.
    pub trainable: bool,
}

/// All parameters of a model, in the order in which they were added.
#[derive(Debug, Default)]
pub struct Parameters {
    entries: Vec<Parameter>,
}

impl Parameters {
    /// No parameters.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a trainable parameter.
    ///
    /// # Panics
    /// When the values do not fill the shape.
    pub fn add(&mut self, name: impl Into<String>, shape: &[usize], values: &[f32]) -> ParameterId {
        let name = name.into();
        assert_eq!(values.len(), shape.iter().product::<usize>(), "values of {name} do not fill {shape:?}");
        self.entries.push(Parameter { name, shape: shape.to_vec(), values: Buffer::copy_of(values), trainable: true });
        ParameterId(self.entries.len() - 1)
    }

    /// The parameter at `id`.
    pub fn get(&self, id: ParameterId) -> &Parameter {
        &self.entries[id.0]
    }

    /// The parameter at `id`, to change.
    pub fn get_mut(&mut self, id: ParameterId) -> &mut Parameter {
        &mut self.entries[id.0]
    }

    /// The parameter of that name.
    pub fn find(&self, name: &str) -> Option<ParameterId> {
        self.entries.iter().position(|p| p.name == name).map(ParameterId)
    }

    /// All parameters in order.
    pub fn iter(&self) -> impl Iterator<Item = (ParameterId, &Parameter)> {
        self.entries.iter().enumerate().map(|(i, p)| (ParameterId(i), p))
    }

    /// All parameters in order, to change.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (ParameterId, &mut Parameter)> {
        self.entries.iter_mut().enumerate().map(|(i, p)| (ParameterId(i), p))
    }

    /// The number of parameters (tensors).
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(crate) fn entries_mut(&mut self) -> &mut [Parameter] {
        &mut self.entries
    }
}

/// The gradient of one parameter.
#[derive(Debug)]
pub(crate) enum Gradient {
    /// Of a frozen parameter: there is none.
    None,
    /// Every element has one; `written` is false until the first contribution of a step.
    Dense { values: Buffer, written: bool },
    /// Only some rows of a table have one; the others are zero and their content is stale.
    Rows { values: Buffer, width: usize, touched: Vec<u32>, is_touched: Vec<bool> },
}

/// The gradients of all trainable parameters, summed over the backward passes since the last [`Gradients::clear`].
#[derive(Debug)]
pub struct Gradients {
    entries: Vec<Gradient>,
}

impl Gradients {
    /// Room for the gradients of the trainable parameters. Those named in `tables` are embedding tables, of which a
    /// step touches few rows.
    pub fn new(parameters: &Parameters, tables: &[ParameterId]) -> Self {
        let entries = parameters
            .iter()
            .map(|(id, parameter)| match parameter.shape[..] {
                _ if !parameter.trainable => Gradient::None,
                [rows, width] if tables.contains(&id) => Gradient::Rows {
                    values: Buffer::zeros(rows * width),
                    width,
                    touched: Vec::new(),
                    is_touched: vec![false; rows],
                },
                _ => Gradient::Dense { values: Buffer::zeros(parameter.values.len()), written: false },
            })
            .collect();
        Self { entries }
    }

    /// Starts a new sum.
    pub fn clear(&mut self) {
        for entry in &mut self.entries {
            match entry {
                Gradient::None => {}
                Gradient::Dense { written, .. } => *written = false,
                Gradient::Rows { touched, is_touched, .. } => {
                    for &row in touched.iter() {
                        is_touched[row as usize] = false;
                    }
                    touched.clear();
                }
            }
        }
    }

    /// A copy of a parameter's gradient, zeros where nothing arrived; `None` for a frozen parameter.
    pub fn to_vec(&self, id: ParameterId) -> Option<Vec<f32>> {
        match &self.entries[id.0] {
            Gradient::None => None,
            Gradient::Dense { values, written: true } => Some(values.to_vec()),
            Gradient::Dense { values, written: false } => Some(vec![0.0; values.len()]),
            Gradient::Rows { values, width, touched, .. } => {
                let mut dense = vec![0.0; values.len()];
                for &row in touched {
                    let range = row as usize * width..(row as usize + 1) * width;
                    dense[range.clone()].copy_from_slice(&values[range]);
                }
                Some(dense)
            }
        }
    }

    /// Σ g² of one parameter, in double precision; zero when nothing arrived.
    pub fn sum_of_squares(&self, id: ParameterId) -> f64 {
        match &self.entries[id.0] {
            Gradient::Dense { values, written: true } => crate::simd::sum_of_squares(values),
            Gradient::Rows { values, width, touched, .. } => {
                // In ascending order of rows, so that the order of the batch does not matter.
                let mut rows = touched.clone();
                rows.sort_unstable();
                let row = |&row: &u32| &values[row as usize * width..(row as usize + 1) * width];
                rows.iter().map(row).map(crate::simd::sum_of_squares).sum()
            }
            Gradient::None | Gradient::Dense { .. } => 0.0,
        }
    }

    /// The norm over all parameters.
    pub fn norm(&self) -> f64 {
        (0..self.entries.len()).map(|i| self.sum_of_squares(ParameterId(i))).sum::<f64>().sqrt()
    }

    /// Lets `write(gradient, accumulate)` overwrite (`accumulate` false) or add to a dense gradient. Does nothing for
    /// a frozen parameter.
    pub(crate) fn contribute(&mut self, id: ParameterId, write: impl FnOnce(&mut [f32], bool)) {
        match &mut self.entries[id.0] {
            Gradient::None => {}
            Gradient::Dense { values, written } => {
                write(values, *written);
                *written = true;
            }
            Gradient::Rows { values, width, touched, is_touched } => {
                // A dense contribution to a table (from a tied decoder, say): every row now counts.
                for (row, marked) in is_touched.iter_mut().enumerate() {
                    if !std::mem::replace(marked, true) {
                        touched.push(row as u32);
                        values[row * *width..(row + 1) * *width].fill(0.0);
                    }
                }
                write(values, true);
            }
        }
    }

    pub(crate) fn entry(&self, id: usize) -> &Gradient {
        &self.entries[id]
    }

    pub(crate) fn entry_mut(&mut self, id: ParameterId) -> &mut Gradient {
        &mut self.entries[id.0]
    }
}
