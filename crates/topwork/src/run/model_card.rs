//! What the model cards of all runs have in common.

/// The model that another was made from, as a card names it.
pub(crate) struct Base {
    /// Its id on the hub, or the name of its folder: a path on somebody's disk means nothing on the hub.
    pub(crate) name: String,
    /// Whether the hub has it.
    pub(crate) is_on_hub: bool,
}

impl Base {
    pub(crate) fn of(spec: &str) -> Self {
        let path = std::path::Path::new(spec);
        let is_carried = spec == topwork_models::SEEDLING;
        let id = topwork_models::hub_id(spec).filter(|_| !is_carried);
        let folder = || path.file_name().map_or("a local model".into(), |name| name.to_string_lossy().into_owned());
        Self { is_on_hub: id.is_some(), name: id.unwrap_or_else(folder) }
    }
}

/// A YAML string in double quotes, which JSON's are.
pub(crate) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
