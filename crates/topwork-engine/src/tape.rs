//! Records the operations of a forward pass and runs them backwards.
//!
//! The tape keeps only what some backward step will read. A value that nothing needs is dropped as soon as the model's
//! code lets go of it, and its storage serves the next operation; on the way back every step frees what it kept.
//! Below the lowest trainable parameter nothing is recorded, so a frozen prefix costs neither memory nor a backward
//! pass.

use std::rc::Rc;

use rayon::prelude::*;

use crate::buffer::Pool;
use crate::parameters::{Gradients, ParameterId, Parameters};
use crate::simd::vectorized;
use crate::tensor::Tensor;

/// The result of an operation: a matrix, and whether a gradient flows back through it. Cloning shares it.
#[derive(Clone, Debug)]
pub struct Value(Rc<Inner>);

#[derive(Debug)]
struct Inner {
    tensor: Tensor,
    slot: Option<usize>,
}

impl Value {
    /// The matrix.
    pub fn tensor(&self) -> &Tensor {
        &self.0.tensor
    }

    /// The values in row-major order.
    pub fn values(&self) -> &[f32] {
        self.0.tensor.values()
    }

    /// The number of rows.
    pub fn rows(&self) -> usize {
        self.0.tensor.rows()
    }

    /// The number of columns.
    pub fn columns(&self) -> usize {
        self.0.tensor.columns()
    }

    /// Where the backward pass puts this value's gradient. Unlike the value, it does not keep the matrix alive.
    pub(crate) fn slot(&self) -> Slot {
        Slot { index: self.0.slot, rows: self.rows(), columns: self.columns() }
    }
}

/// The place of a value's gradient in a backward pass.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Slot {
    index: Option<usize>,
    rows: usize,
    columns: usize,
}

/// What an operation kept from its forward pass in order to run backwards.
pub(crate) trait Operation {
    /// Turns the gradient of the output into gradients of the inputs and parameters.
    fn backward(self: Box<Self>, output_gradient: Tensor, context: &mut Backward<'_>);
}

/// Whether dropout is live and gradients are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Dropout drops; the operations are recorded.
    Training,
    /// No dropout, nothing is recorded.
    Inference,
}

/// Records a forward pass over parameters.
pub struct Tape<'a> {
    pub(crate) parameters: &'a Parameters,
    pub(crate) pool: Pool,
    mode: Mode,
    steps: Vec<(usize, Box<dyn Operation>)>,
    slots: usize,
}

impl<'a> Tape<'a> {
    /// An empty tape whose values live on storage from `pool`.
    pub fn new(parameters: &'a Parameters, pool: &Pool, mode: Mode) -> Self {
        Self { parameters, pool: pool.clone(), mode, steps: Vec::new(), slots: 0 }
    }

    /// Whether dropout is live and gradients are wanted.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// An input that no gradient is wanted for.
    pub fn constant(&self, tensor: Tensor) -> Value {
        Value(Rc::new(Inner { tensor, slot: None }))
    }

    /// An input whose gradient [`Tape::backward_from`] gives back.
    pub fn leaf(&mut self, tensor: Tensor) -> Value {
        let slot = self.next_slot();
        Value(Rc::new(Inner { tensor, slot: Some(slot) }))
    }

    /// The parameter's values.
    pub(crate) fn parameter(&self, id: ParameterId) -> &'a [f32] {
        &self.parameters.get(id).values
    }

    /// Whether a gradient of this parameter is wanted.
    pub(crate) fn trains(&self, id: ParameterId) -> bool {
        self.mode == Mode::Training && self.parameters.get(id).trainable
    }

    /// Whether the result of an operation on these inputs and parameters needs a gradient.
    pub(crate) fn records(&self, inputs: &[&Value], parameters: &[ParameterId]) -> bool {
        inputs.iter().any(|v| v.0.slot.is_some()) || parameters.iter().any(|&p| self.trains(p))
    }

    /// A result together with the step that runs it backwards.
    pub(crate) fn record(&mut self, tensor: Tensor, operation: impl Operation + 'static) -> Value {
        let slot = self.next_slot();
        self.steps.push((slot, Box::new(operation)));
        Value(Rc::new(Inner { tensor, slot: Some(slot) }))
    }

    /// A matrix with unspecified content.
    pub(crate) fn take(&self, rows: usize, columns: usize) -> Tensor {
        Tensor::take(&self.pool, rows, columns)
    }

    /// The number of operations that the backward pass will run.
    #[cfg(test)]
    pub(crate) fn recorded(&self) -> usize {
        self.steps.len()
    }

    fn next_slot(&mut self) -> usize {
        self.slots += 1;
        self.slots - 1
    }

    /// Runs backwards from a loss `[1, 1]`, adding to `gradients`.
    pub fn backward(self, loss: Value, gradients: &mut Gradients) {
        let seed = Tensor::from_values(&[1.0], 1, 1);
        self.backward_from(loss, seed, gradients);
    }

    /// Runs backwards from any value and the gradient of it, adding to `gradients`; gives the leaves' gradients.
    ///
    /// # Panics
    /// When the seed's size is not the value's.
    pub fn backward_from(mut self, value: Value, seed: Tensor, gradients: &mut Gradients) -> LeafGradients {
        assert_eq!((value.rows(), value.columns()), (seed.rows(), seed.columns()), "seed of the backward pass");
        let mut slots: Vec<Option<Tensor>> = (0..self.slots).map(|_| None).collect();
        if let Some(slot) = value.0.slot {
            slots[slot] = Some(seed);
        }
        drop(value);
        let mut context = Backward { parameters: self.parameters, pool: self.pool.clone(), gradients, slots };
        while let Some((slot, operation)) = self.steps.pop() {
            if let Some(gradient) = context.slots[slot].take() {
                operation.backward(gradient, &mut context);
            }
        }
        LeafGradients { slots: context.slots }
    }
}

/// The state of a backward pass.
pub(crate) struct Backward<'a> {
    pub(crate) parameters: &'a Parameters,
    pub(crate) gradients: &'a mut Gradients,
    pub(crate) pool: Pool,
    slots: Vec<Option<Tensor>>,
}

impl Backward<'_> {
    /// Lets `write(gradient, accumulate)` overwrite (`accumulate` false) or add to the gradient at `slot`. Does nothing
    /// when none is needed.
    pub(crate) fn contribute(&mut self, slot: Slot, write: impl FnOnce(&mut [f32], bool)) {
        let Some(index) = slot.index else { return };
        match &mut self.slots[index] {
            Some(gradient) => write(gradient.values_mut(), true),
            empty => {
                let gradient = empty.insert(Tensor::take(&self.pool, slot.rows, slot.columns));
                write(gradient.values_mut(), false);
            }
        }
    }

    /// Makes `gradient` the gradient at `slot`, or adds it to what is there.
    pub(crate) fn pass_on(&mut self, slot: Slot, gradient: Tensor) {
        let Some(index) = slot.index else { return };
        match &mut self.slots[index] {
            Some(present) => {
                let parts = gradient.values().par_chunks(1 << 14);
                present.values_mut().par_chunks_mut(1 << 14).zip(parts).for_each(|(total, part)| {
                    vectorized(|| total.iter_mut().zip(part).for_each(|(total, &part)| *total += part));
                });
            }
            empty => *empty = Some(gradient),
        }
    }

    /// A matrix with unspecified content.
    pub(crate) fn take(&self, rows: usize, columns: usize) -> Tensor {
        Tensor::take(&self.pool, rows, columns)
    }
}

/// The gradients of a tape's leaves.
pub struct LeafGradients {
    slots: Vec<Option<Tensor>>,
}

impl LeafGradients {
    /// The gradient of a leaf; `None` when nothing flowed to it.
    pub fn get(&self, leaf: &Value) -> Option<&Tensor> {
        self.slots[leaf.0.slot?].as_ref()
    }
}
