//! The tensors of a pickle: which of its dicts is the state dict, and which bytes of the storages each tensor takes.

use std::collections::BTreeMap;

use safetensors::tensor::Dtype;

use super::fault::{Fault, shown};
use super::pickle::{Object, Pickled, Storage, Tensor, Value};

/// What holds a state dict in the file of a trainer.
const WRAPPERS: [&str; 8] =
    ["state_dict", "model_state_dict", "model_state", "model", "module", "net", "network", "weights"];
/// One in another.
const DEEPEST: usize = 4;
/// A tensor that repeats its values may have more of them than its file has bytes, up to so many.
const MOST_REPEATED: u64 = 1 << 20;

/// A tensor of a state dict. Places are in bytes from the beginning of what has its storage's key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct View {
    pub(super) name: String,
    pub(super) dtype: Dtype,
    pub(super) key: String,
    pub(super) shape: Vec<usize>,
    /// In elements; none where the values lie one behind the other.
    pub(super) strides: Option<Vec<usize>>,
    pub(super) skip: u64,
    pub(super) bytes: u64,
}

/// Tensors with their names.
type Named<'a> = Vec<(&'a str, &'a Tensor)>;

/// The state dict of a pickle: the keys that lead to it, and its tensors.
pub(super) fn state_dict(pickled: &Pickled) -> Option<(Vec<String>, Named<'_>)> {
    let (mut path, mut dict) = (Vec::new(), pickled.dict(pickled.root)?);
    let mut own = tensors_of(pickled, dict);
    while path.len() < DEEPEST {
        let inner = WRAPPERS.into_iter().find_map(|name| {
            let found = dict.iter().rev().find(|(key, _)| pickled.text(*key) == Some(name))?;
            pickled.dict(found.1).map(|inner| (name, inner))
        });
        let Some((name, inner)) = inner else { break };
        let within = tensors_of(pickled, inner);
        if within.len() < own.len() {
            break;
        }
        path.push(name.to_string());
        (dict, own) = (inner, within);
    }
    (!own.is_empty()).then_some((path, own.into_iter().collect()))
}

/// A key that is there twice has its last value, as in Python.
fn tensors_of<'a>(pickled: &'a Pickled, dict: &[(Value, Value)]) -> BTreeMap<&'a str, &'a Tensor> {
    let tensor = |(key, value): &(Value, Value)| match (pickled.text(*key), pickled.object(*value)) {
        (Some(name), Some(Object::Tensor(tensor))) => Some((name, tensor)),
        _ => None,
    };
    dict.iter().filter_map(tensor).collect()
}

/// The keys of the outermost dict, for an error.
pub(super) fn keys(pickled: &Pickled) -> String {
    const LISTED: usize = 5;
    let Some(dict) = pickled.dict(pickled.root) else {
        return "an object that is no dict".into();
    };
    let names: Vec<String> = dict.iter().take(LISTED).filter_map(|(key, _)| pickled.text(*key).map(shown)).collect();
    match names.is_empty() {
        true => "a dict without names of tensors".into(),
        false => format!("a dict of {}", names.join(", ")),
    }
}

/// The place of a tensor, all of it within its storage. `file` is the length of the file.
pub(super) fn view(pickled: &Pickled, name: &str, tensor: &Tensor, file: u64) -> Result<View, Fault> {
    let Some(Object::Storage(storage)) = pickled.objects.get(tensor.storage) else {
        return Fault::damaged(format!("tensor {}: it has no storage", shown(name)));
    };
    let damaged = |what: &str| Fault::Damaged(format!("tensor {}: {what}", shown(name)));
    let element = element_size(storage.dtype);
    let values = tensor.shape.iter().try_fold(1_u64, |product, size| product.checked_mul(*size));
    let values = values.filter(|values| *values <= file.max(MOST_REPEATED));
    let values = values.ok_or_else(|| damaged(&format!("its shape {:?} is larger than the file", tensor.shape)))?;
    let span = span(tensor, values).ok_or_else(|| damaged("its strides lead beyond its storage"))?;
    let end = tensor.first.checked_add(span).filter(|end| *end <= storage.elements);
    if end.is_none() {
        let found =
            format!("it takes elements from {} on, {span} of them, of a storage of {}", tensor.first, storage.elements);
        return Err(damaged(&found));
    }
    let skip = storage.first.checked_add(tensor.first).and_then(|first| first.checked_mul(element));
    let (Some(skip), Some(bytes)) = (skip, span.checked_mul(element)) else {
        return Err(damaged("its place is beyond any file"));
    };
    let narrow = |sizes: &[u64]| sizes.iter().map(|size| usize::try_from(*size)).collect::<Result<Vec<_>, _>>();
    let (Ok(shape), Ok(strides)) = (narrow(&tensor.shape), narrow(&tensor.strides)) else {
        return Err(damaged("its sizes are beyond this machine's"));
    };
    Ok(View {
        name: name.to_string(),
        dtype: storage.dtype,
        key: storage.key.clone(),
        strides: (!is_dense(&tensor.shape, &tensor.strides)).then_some(strides),
        shape,
        skip,
        bytes,
    })
}

/// From the first element that a tensor takes to the last, in elements.
fn span(tensor: &Tensor, values: u64) -> Option<u64> {
    if values == 0 {
        return Some(0);
    }
    let steps = tensor.shape.iter().zip(&tensor.strides);
    let last = steps.map(|(size, stride)| (size - 1).checked_mul(*stride));
    last.into_iter().try_fold(1_u64, |span, step| span.checked_add(step?))
}

/// Whether the values lie one behind the other, row by row.
fn is_dense(shape: &[u64], strides: &[u64]) -> bool {
    if shape.contains(&0) {
        return true;
    }
    let mut expected = 1_u64;
    for (size, stride) in shape.iter().zip(strides).rev() {
        if *size != 1 && *stride != expected {
            return false;
        }
        expected = expected.saturating_mul(*size);
    }
    true
}

/// The bytes of an element of a storage.
pub(super) fn element_size(dtype: Dtype) -> u64 {
    match dtype {
        Dtype::F64 | Dtype::I64 => 8,
        Dtype::F32 | Dtype::I32 => 4,
        Dtype::F16 | Dtype::BF16 | Dtype::I16 => 2,
        _ => 1,
    }
}

/// The storages that a pickle names: the type of each key.
pub(super) fn storages(pickled: &Pickled) -> impl Iterator<Item = &Storage> {
    pickled.objects.iter().filter_map(|object| match object {
        Object::Storage(storage) => Some(storage),
        _ => None,
    })
}
