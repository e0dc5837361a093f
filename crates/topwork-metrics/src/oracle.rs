//! What tests need to compare with values that others computed.

use serde_json::Value;

/// A file of `fixtures/`.
pub(crate) fn fixture(name: &str) -> Value {
    let path = format!("{}/../../fixtures/{name}", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

pub(crate) fn numbers(values: &Value) -> Vec<f64> {
    values.as_array().unwrap().iter().map(|value| value.as_f64().unwrap()).collect()
}

/// The same but for `tolerance`; null stands for a value that is undefined.
#[track_caller]
pub(crate) fn near(value: f64, expected: &Value, tolerance: f64) {
    match expected.as_f64() {
        None => assert!(expected.is_null() && value.is_nan(), "{value}, not {expected}"),
        Some(expected) => {
            assert!((value - expected).abs() <= tolerance * expected.abs().max(1.0), "{value}, not {expected}");
        }
    }
}
