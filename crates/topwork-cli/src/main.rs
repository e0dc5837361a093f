//! The `topwork` command.
fn main() {}
