//! A machine for the pickles of state dicts. It knows the opcodes that `torch.save` writes and the few names that a state
//! dict needs; it calls nothing, whatever the pickle asks for. Everything else is refused by name.
//!
//! What it builds lies in one flat list and is named by places in it. So shared parts are shared, and no depth of nesting
//! needs a stack; what it takes is bounded by the number of opcodes.

use std::collections::HashMap;
use std::io::Read;

use safetensors::tensor::Dtype;

use super::fault::{Fault, shown};

/// A state dict has some thirty opcodes for each tensor.
const MOST_OPCODES: u64 = 4_000_000;
/// The longest name of a tensor, and the longest text beside them, that is kept.
const LONGEST_TEXT: u64 = 1 << 20;
/// The longest name of a class.
const LONGEST_NAME: usize = 256;
/// No tensor of PyTorch has more dimensions.
const MOST_DIMENSIONS: usize = 64;
/// Lists within lists; a state dict of a trainer has five.
const MOST_MARKS: usize = 256;

/// A value: itself, or a place in the list of objects.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Value {
    /// Nothing, a number that nobody asks for, or bytes.
    Other,
    Bool(bool),
    Int(i64),
    Object(usize),
}

/// What takes more than a number.
#[derive(Debug)]
pub(super) enum Object {
    Text(String),
    List(Vec<Value>),
    Tuple(Vec<Value>),
    Dict(Vec<(Value, Value)>),
    Global(Global),
    Storage(Storage),
    Tensor(Tensor),
}

/// A name that a state dict needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Global {
    OrderedDict,
    Size,
    RebuildTensor,
    RebuildParameter,
    Storage(Dtype),
}

/// Memory that tensors share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Storage {
    pub(super) dtype: Dtype,
    pub(super) key: String,
    /// Its first element, from the beginning of what has that key.
    pub(super) first: u64,
    pub(super) elements: u64,
}

/// A view of a storage, in elements.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tensor {
    /// Its place among the objects.
    pub(super) storage: usize,
    pub(super) first: u64,
    pub(super) shape: Vec<u64>,
    pub(super) strides: Vec<u64>,
}

/// What a pickle holds.
#[derive(Debug)]
pub(super) struct Pickled {
    pub(super) objects: Vec<Object>,
    pub(super) root: Value,
}

impl Pickled {
    pub(super) fn object(&self, value: Value) -> Option<&Object> {
        match value {
            Value::Object(at) => self.objects.get(at),
            Value::Other | Value::Bool(_) | Value::Int(_) => None,
        }
    }

    pub(super) fn text(&self, value: Value) -> Option<&str> {
        match self.object(value) {
            Some(Object::Text(text)) => Some(text),
            _ => None,
        }
    }

    pub(super) fn dict(&self, value: Value) -> Option<&[(Value, Value)]> {
        match self.object(value) {
            Some(Object::Dict(pairs)) => Some(pairs),
            _ => None,
        }
    }
}

fn global(module: &str, name: &str) -> Option<Global> {
    Some(match (module, name) {
        ("collections", "OrderedDict") => Global::OrderedDict,
        ("torch", "Size") => Global::Size,
        ("torch._utils", "_rebuild_tensor" | "_rebuild_tensor_v2") => Global::RebuildTensor,
        ("torch._utils", "_rebuild_parameter") => Global::RebuildParameter,
        ("torch", "DoubleStorage") => Global::Storage(Dtype::F64),
        ("torch", "FloatStorage") => Global::Storage(Dtype::F32),
        ("torch", "HalfStorage") => Global::Storage(Dtype::F16),
        ("torch", "BFloat16Storage") => Global::Storage(Dtype::BF16),
        ("torch", "LongStorage") => Global::Storage(Dtype::I64),
        ("torch", "IntStorage") => Global::Storage(Dtype::I32),
        ("torch", "ShortStorage") => Global::Storage(Dtype::I16),
        ("torch", "CharStorage") => Global::Storage(Dtype::I8),
        ("torch", "ByteStorage") => Global::Storage(Dtype::U8),
        ("torch", "BoolStorage") => Global::Storage(Dtype::BOOL),
        _ => return None,
    })
}

/// The bytes of a pickle, of which so many are left.
pub(super) struct Source<R> {
    inner: R,
    left: u64,
    read: u64,
}

impl<R: Read> Source<R> {
    pub(super) fn new(inner: R, length: u64) -> Self {
        Self { inner, left: length, read: 0 }
    }

    /// How many bytes were read.
    pub(super) fn position(&self) -> u64 {
        self.read
    }

    fn take(&mut self, bytes: u64) -> Result<(), Fault> {
        if bytes > self.left {
            return Fault::damaged(format!("{bytes} bytes expected where {} are left", self.left));
        }
        self.left -= bytes;
        self.read += bytes;
        Ok(())
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        let mut bytes = [0; N];
        self.take(N as u64)?;
        self.inner.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    fn byte(&mut self) -> Result<u8, Fault> {
        self.array::<1>().map(|[byte]| byte)
    }

    fn text(&mut self, length: u64) -> Result<String, Fault> {
        if length > LONGEST_TEXT {
            return Fault::refused(format!("a text of {length} bytes"));
        }
        self.take(length)?;
        let mut bytes = vec![0; length as usize];
        self.inner.read_exact(&mut bytes)?;
        String::from_utf8(bytes).or_else(|_| Fault::damaged("a text of it is not UTF-8"))
    }

    fn skip(&mut self, length: u64) -> Result<(), Fault> {
        self.take(length)?;
        let skipped = std::io::copy(&mut (&mut self.inner).take(length), &mut std::io::sink())?;
        if skipped == length { Ok(()) } else { Fault::damaged("it ends early") }
    }

    fn line(&mut self) -> Result<String, Fault> {
        let mut bytes = Vec::new();
        loop {
            match self.byte()? {
                b'\n' => return Ok(String::from_utf8_lossy(&bytes).into_owned()),
                _ if bytes.len() == LONGEST_NAME => return Fault::damaged("a name of it has no end"),
                byte => bytes.push(byte),
            }
        }
    }
}

/// Runs the pickle that `source` begins with, to its end.
pub(super) fn run<R: Read>(source: &mut Source<R>) -> Result<Pickled, Fault> {
    let mut machine = Machine::default();
    for _ in 0..MOST_OPCODES {
        let opcode = source.byte()?;
        if opcode == b'.' {
            let root = machine.pop()?;
            return Ok(Pickled { objects: machine.objects, root });
        }
        machine.step(opcode, source)?;
    }
    Fault::refused(format!("a pickle of more than {MOST_OPCODES} opcodes"))
}

#[derive(Default)]
struct Machine {
    objects: Vec<Object>,
    stack: Vec<Value>,
    /// How high the stack was at each mark.
    marks: Vec<usize>,
    memo: HashMap<u32, Value>,
    /// Values that were copied from one object to another.
    copied: u64,
}

impl Machine {
    fn step<R: Read>(&mut self, opcode: u8, source: &mut Source<R>) -> Result<(), Fault> {
        match opcode {
            0x80 => match source.byte()? {
                0..=5 => {}
                other => return Fault::refused(format!("a pickle of protocol {other}")),
            },
            // FRAME: the length of what follows, which nothing depends on.
            0x95 => _ = source.array::<8>()?,
            b'(' => {
                if self.marks.len() == MOST_MARKS {
                    return Fault::refused(format!("lists nested deeper than {MOST_MARKS}"));
                }
                self.marks.push(self.stack.len());
            }
            b'N' => self.stack.push(Value::Other),
            0x88 => self.stack.push(Value::Bool(true)),
            0x89 => self.stack.push(Value::Bool(false)),
            b'J' => self.stack.push(Value::Int(i32::from_le_bytes(source.array()?).into())),
            b'K' => self.stack.push(Value::Int(source.byte()?.into())),
            b'M' => self.stack.push(Value::Int(u16::from_le_bytes(source.array()?).into())),
            0x8a => self.long(source)?,
            b'G' => {
                source.array::<8>()?;
                self.stack.push(Value::Other);
            }
            b'X' | b'T' | b'U' | 0x8c => {
                let length = match opcode {
                    b'X' | b'T' => u32::from_le_bytes(source.array()?).into(),
                    _ => source.byte()?.into(),
                };
                let text = source.text(length)?;
                self.push(Object::Text(text));
            }
            b'B' | b'C' => {
                let length = match opcode {
                    b'B' => u32::from_le_bytes(source.array()?).into(),
                    _ => source.byte()?.into(),
                };
                source.skip(length)?;
                self.stack.push(Value::Other);
            }
            b'q' => self.remember(source.byte()?.into())?,
            b'r' => self.remember(u32::from_le_bytes(source.array()?))?,
            0x94 => self.remember(self.memo.len() as u32)?,
            b'h' => self.recall(source.byte()?.into())?,
            b'j' => self.recall(u32::from_le_bytes(source.array()?))?,
            b'c' => {
                let (module, name) = (source.line()?, source.line()?);
                self.name(&module, &name)?;
            }
            0x93 => {
                let [module, name] = self.texts()?;
                self.name(&module, &name)?;
            }
            _ => self.build(opcode)?,
        }
        Ok(())
    }

    /// The opcodes that read nothing but the stack.
    fn build(&mut self, opcode: u8) -> Result<(), Fault> {
        match opcode {
            b'}' => self.push(Object::Dict(Vec::new())),
            b']' => self.push(Object::List(Vec::new())),
            b')' => self.push(Object::Tuple(Vec::new())),
            b't' => {
                let items = self.since_mark()?;
                self.push(Object::Tuple(items));
            }
            0x85..=0x87 => {
                let mut items = (0..opcode - 0x84).map(|_| self.pop()).collect::<Result<Vec<_>, _>>()?;
                items.reverse();
                self.push(Object::Tuple(items));
            }
            b'a' => {
                let item = self.pop()?;
                self.append(vec![item])?;
            }
            b'e' => {
                let items = self.since_mark()?;
                self.append(items)?;
            }
            b's' => {
                let (value, key) = (self.pop()?, self.pop()?);
                self.set(&[key, value])?;
            }
            b'u' => {
                let items = self.since_mark()?;
                self.set(&items)?;
            }
            b'Q' => self.storage()?,
            b'R' => self.reduce()?,
            b'b' => self.attributes()?,
            other => return Fault::refused(format!("{} in its pickle", opcode_name(other))),
        }
        Ok(())
    }

    fn push(&mut self, object: Object) {
        self.stack.push(Value::Object(self.objects.len()));
        self.objects.push(object);
    }

    fn pop(&mut self) -> Result<Value, Fault> {
        let floor = self.marks.last().copied().unwrap_or(0);
        match self.stack.len() > floor {
            true => self.stack.pop().ok_or_else(|| Fault::Damaged(EMPTY.into())),
            false => Fault::damaged(EMPTY),
        }
    }

    fn top(&self) -> Result<Value, Fault> {
        let floor = self.marks.last().copied().unwrap_or(0);
        self.stack.get(floor..).and_then(<[Value]>::last).copied().ok_or_else(|| Fault::Damaged(EMPTY.into()))
    }

    fn since_mark(&mut self) -> Result<Vec<Value>, Fault> {
        match self.marks.pop() {
            Some(mark) if mark <= self.stack.len() => Ok(self.stack.split_off(mark)),
            _ => Fault::damaged("its pickle closes a list that it has not opened"),
        }
    }

    fn long<R: Read>(&mut self, source: &mut Source<R>) -> Result<(), Fault> {
        let length = source.byte()?;
        let mut bytes = [0; 8];
        let value = match length {
            0 => Value::Int(0),
            1..=8 => {
                for byte in bytes.iter_mut().take(length.into()) {
                    *byte = source.byte()?;
                }
                let unused = 64 - 8 * u32::from(length);
                Value::Int(i64::from_le_bytes(bytes) << unused >> unused)
            }
            _ => {
                source.skip(length.into())?;
                Value::Other
            }
        };
        self.stack.push(value);
        Ok(())
    }

    fn remember(&mut self, place: u32) -> Result<(), Fault> {
        let value = self.top()?;
        self.memo.insert(place, value);
        Ok(())
    }

    fn recall(&mut self, place: u32) -> Result<(), Fault> {
        let value = self.memo.get(&place).copied();
        self.stack
            .push(value.ok_or_else(|| Fault::Damaged(format!("its pickle asks for entry {place}, which it has not")))?);
        Ok(())
    }

    fn texts(&mut self) -> Result<[String; 2], Fault> {
        let (second, first) = (self.pop()?, self.pop()?);
        let short = |value| self.text(value).filter(|text| text.len() <= LONGEST_NAME).map(str::to_string);
        match [first, second].map(short) {
            [Some(first), Some(second)] => Ok([first, second]),
            _ => Fault::damaged("a name in its pickle is no text, or has no end"),
        }
    }

    fn name(&mut self, module: &str, name: &str) -> Result<(), Fault> {
        match global(module, name) {
            Some(global) => self.push(Object::Global(global)),
            None => return Fault::refused(format!("GLOBAL {}.{} in its pickle", shown(module), shown(name))),
        }
        Ok(())
    }

    fn object(&self, value: Value) -> Option<&Object> {
        match value {
            Value::Object(at) => self.objects.get(at),
            Value::Other | Value::Bool(_) | Value::Int(_) => None,
        }
    }

    fn text(&self, value: Value) -> Option<&str> {
        match self.object(value) {
            Some(Object::Text(text)) => Some(text),
            _ => None,
        }
    }

    fn items(&self, value: Value) -> Option<&[Value]> {
        match self.object(value) {
            Some(Object::Tuple(items) | Object::List(items)) => Some(items),
            _ => None,
        }
    }

    fn append(&mut self, items: Vec<Value>) -> Result<(), Fault> {
        match self.top()? {
            Value::Object(at) => match self.objects.get_mut(at) {
                Some(Object::List(list)) => list.extend(items),
                _ => return Fault::damaged("its pickle appends to what is no list"),
            },
            _ => return Fault::damaged("its pickle appends to what is no list"),
        }
        Ok(())
    }

    fn set(&mut self, items: &[Value]) -> Result<(), Fault> {
        let pairs = items.chunks_exact(2);
        if !pairs.remainder().is_empty() {
            return Fault::damaged("a key in its pickle has no value");
        }
        match self.top()? {
            Value::Object(at) => match self.objects.get_mut(at) {
                Some(Object::Dict(dict)) => dict.extend(pairs.map(|pair| (pair[0], pair[1]))),
                _ => return Fault::damaged("its pickle sets keys of what is no dict"),
            },
            _ => return Fault::damaged("its pickle sets keys of what is no dict"),
        }
        Ok(())
    }

    /// BUILD: an ordered dict may have attributes, such as the versions of modules, which say nothing of the weights.
    fn attributes(&mut self) -> Result<(), Fault> {
        self.pop()?;
        match self.top().ok().and_then(|value| self.object(value)) {
            Some(Object::Dict(_)) => Ok(()),
            _ => Fault::refused("BUILD of an object in its pickle"),
        }
    }

    /// BINPERSID: memory that tensors share.
    fn storage(&mut self) -> Result<(), Fault> {
        let id = self.pop()?;
        let items = self.items(id).unwrap_or_default();
        let [tag, class, key, _, count, view @ ..] = items else {
            return Fault::damaged("a storage in its pickle is incomplete");
        };
        let (Some("storage"), Some(Object::Global(Global::Storage(dtype))), Some(key), Value::Int(count)) =
            (self.text(*tag), self.object(*class), self.text(*key), *count)
        else {
            return Fault::damaged("a storage in its pickle lacks its type, key or size");
        };
        if key.len() > LONGEST_NAME {
            return Fault::damaged("the key of a storage in its pickle has no end");
        }
        let mut storage = Storage { dtype: *dtype, key: key.to_string(), first: 0, elements: size(count)? };
        // Before PyTorch 0.4 a storage could be a part of another.
        if let Some(view) = view.first().and_then(|view| self.items(*view)) {
            let [_, Value::Int(first), Value::Int(count)] = *view else {
                return Fault::damaged("a part of a storage in its pickle lacks its place");
            };
            (storage.first, storage.elements) = (size(first)?, size(count)?);
        }
        self.push(Object::Storage(storage));
        Ok(())
    }

    fn reduce(&mut self) -> Result<(), Fault> {
        let (arguments, function) = (self.pop()?, self.pop()?);
        let Some(Object::Global(function)) = self.object(function) else {
            return Fault::refused("REDUCE of an object in its pickle");
        };
        let function = *function;
        let Some(Object::Tuple(arguments)) = self.object(arguments) else {
            return Fault::damaged("a call in its pickle has no arguments");
        };
        match (function, arguments.as_slice()) {
            (Global::OrderedDict, []) => self.push(Object::Dict(Vec::new())),
            (Global::OrderedDict, [pairs]) => {
                let pair = |value: &Value| match self.items(*value) {
                    Some([key, value]) => Ok((*key, *value)),
                    _ => Fault::damaged("an OrderedDict in its pickle is made of something else than pairs"),
                };
                let pairs = self.items(*pairs).unwrap_or_default().iter().map(pair).collect::<Result<Vec<_>, _>>()?;
                self.copied += pairs.len() as u64;
                if self.copied > MOST_OPCODES {
                    return Fault::refused(format!("a pickle that copies more than {MOST_OPCODES} values"));
                }
                self.push(Object::Dict(pairs));
            }
            (Global::Size, [sizes]) => {
                let sizes = *sizes;
                self.stack.push(sizes);
            }
            (Global::RebuildTensor, [storage, first, shape, strides, ..]) => {
                let tensor = self.tensor(*storage, *first, *shape, *strides)?;
                self.push(Object::Tensor(tensor));
            }
            (Global::RebuildParameter, [tensor, ..]) => {
                let tensor = *tensor;
                self.stack.push(tensor);
            }
            (function, _) => {
                return Fault::refused(format!("a call of {function:?} with other arguments in its pickle"));
            }
        }
        Ok(())
    }

    fn tensor(&self, storage: Value, first: Value, shape: Value, strides: Value) -> Result<Tensor, Fault> {
        let sizes = |value: Value| {
            let items =
                self.items(value).ok_or_else(|| Fault::Damaged("a tensor in its pickle has no shape".into()))?;
            let item = |item: &Value| match item {
                Value::Int(number) => size(*number),
                _ => Fault::damaged("a tensor in its pickle has a size that is no number"),
            };
            if items.len() > MOST_DIMENSIONS {
                return Fault::damaged(format!("a tensor in its pickle has {} dimensions", items.len()));
            }
            items.iter().map(item).collect::<Result<Vec<u64>, Fault>>()
        };
        let (Value::Object(storage), Some(Object::Storage(_)), Value::Int(first)) =
            (storage, self.object(storage), first)
        else {
            return Fault::damaged("a tensor in its pickle has no storage");
        };
        let (shape, strides) = (sizes(shape)?, sizes(strides)?);
        if shape.len() != strides.len() {
            return Fault::damaged(format!(
                "a tensor in its pickle has {} sizes and {} strides",
                shape.len(),
                strides.len()
            ));
        }
        Ok(Tensor { storage, first: size(first)?, shape, strides })
    }
}

const EMPTY: &str = "its pickle takes more from its stack than it has";

fn size(number: i64) -> Result<u64, Fault> {
    u64::try_from(number).or_else(|_| Fault::damaged(format!("a size in its pickle is {number}")))
}

/// The opcodes that pickles of other things than state dicts have, by their names in Python's `pickletools`.
fn opcode_name(opcode: u8) -> String {
    let name = match opcode {
        b'0' => "POP",
        b'1' => "POP_MARK",
        b'2' => "DUP",
        b'F' => "FLOAT",
        b'I' => "INT",
        b'L' => "LONG",
        b'P' => "PERSID",
        b'S' => "STRING",
        b'V' => "UNICODE",
        b'd' => "DICT",
        b'g' => "GET",
        b'i' => "INST",
        b'l' => "LIST",
        b'o' => "OBJ",
        b'p' => "PUT",
        0x81 => "NEWOBJ",
        0x82 => "EXT1",
        0x83 => "EXT2",
        0x84 => "EXT4",
        0x8b => "LONG4",
        0x8d => "BINUNICODE8",
        0x8e => "BINBYTES8",
        0x8f => "EMPTY_SET",
        0x90 => "ADDITEMS",
        0x91 => "FROZENSET",
        0x92 => "NEWOBJ_EX",
        0x96 => "BYTEARRAY8",
        0x97 => "NEXT_BUFFER",
        0x98 => "READONLY_BUFFER",
        _ => return format!("the opcode {opcode:#04x}"),
    };
    format!("the opcode {name}")
}
