//! What a column of a file is for.

/// What a column is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The text, or the first text of a pair.
    Text,
    /// The second text of a pair.
    TextPair,
    /// The label.
    Label,
}

impl Role {
    /// The command-line option that names this column.
    pub fn option(self) -> &'static str {
        match self {
            Role::Text => "--text-column",
            Role::TextPair => "--text-pair-column",
            Role::Label => "--label-column",
        }
    }
}
