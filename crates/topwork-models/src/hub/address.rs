//! The ways in which a model of the hub is written down besides its id: the address of its page, or of a file of it.

/// Hosts that show the public hub.
const HOSTS: [&str; 4] = ["huggingface.co", "www.huggingface.co", "hf.co", "hf-mirror.com"];
/// What stands between an id and a revision.
const VIEWS: [&str; 5] = ["tree", "blob", "resolve", "raw", "commit"];
/// Pages of a model that are no part of its name.
const PAGES: [&str; 3] = ["discussions", "commits", "settings"];

/// A model of the hub.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Address {
    pub(super) id: String,
    pub(super) revision: Option<String>,
}

/// What an address means; none where `spec` is none. `endpoint` is the hub's own address.
///
/// # Errors
/// Why the address is not one of a model.
pub(super) fn parse(spec: &str, endpoint: &str) -> Option<Result<Address, String>> {
    let without_scheme =
        |text: &str| ["https://", "http://"].iter().find_map(|scheme| Some(text.strip_prefix(scheme)?.to_string()));
    let own = without_scheme(endpoint).unwrap_or_default();
    let is_hub = |host: &str| HOSTS.contains(&host) || host == own;
    let rest = match without_scheme(spec) {
        Some(address) => {
            let (host, rest) = address.split_once('/').unwrap_or((&address, ""));
            if !is_hub(host) {
                return Some(Err(format!(
                    "expected a directory, a hub id or an address of {endpoint}, found one of {host}"
                )));
            }
            rest.to_string()
        }
        None => match spec.split_once('/') {
            Some((host, rest)) if is_hub(host) => rest.to_string(),
            _ => match spec.strip_prefix("hf://") {
                Some(rest) => rest.to_string(),
                None if has_view(spec) => spec.to_string(),
                None => return None,
            },
        },
    };
    Some(of_path(&rest))
}

/// `org/name/tree/...`: nobody has a folder of that shape by chance.
fn has_view(spec: &str) -> bool {
    let parts: Vec<&str> = spec.split('/').collect();
    parts.len() >= 4 && !parts[0].starts_with(['.', '~']) && !parts[0].is_empty() && VIEWS.contains(&parts[2])
}

fn of_path(path: &str) -> Result<Address, String> {
    let path = path.split(['?', '#']).next().unwrap_or_default().trim_matches('/');
    let mut parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    match parts.first().copied() {
        Some("datasets") => return Err("expected the address of a model, found one of a data set".into()),
        Some("spaces") => return Err("expected the address of a model, found one of a space".into()),
        Some("models") if parts.len() > 2 => _ = parts.remove(0),
        _ => {}
    }
    let view = parts.iter().position(|part| VIEWS.contains(part)).filter(|at| (1..=2).contains(at));
    let page = parts.iter().position(|part| PAGES.contains(part)).filter(|at| *at == 2);
    let (id, rest) = parts.split_at(view.or(page).unwrap_or(parts.len()));
    if id.is_empty() || id.len() > 2 {
        return Err("expected the address of a model, such as https://huggingface.co/org/name, found another".into());
    }
    let id = id.join("/");
    let (id, tag) = id.split_once('@').map_or((id.as_str(), None), |(id, tag)| (id, Some(tag.to_string())));
    let revision = match rest {
        [view, revision, behind @ ..] if VIEWS.contains(view) => {
            if *view == "tree" && !behind.is_empty() {
                return Err(format!(
                    "expected the model at the top of its repository, found the folder {}",
                    behind.join("/")
                ));
            }
            Some(revision.replace("%2F", "/")).filter(|revision| revision != "main")
        }
        _ => tag,
    };
    Ok(Address { id: id.to_string(), revision })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_models_are_ids() {
        let parsed = |spec: &str| parse(spec, "https://hub.example.org").map(|address| address.unwrap());
        let address =
            |id: &str, revision: Option<&str>| Some(Address { id: id.into(), revision: revision.map(String::from) });
        for spec in [
            "https://huggingface.co/org/name",
            "https://huggingface.co/org/name/",
            "http://hf.co/org/name?library=transformers#files",
            "huggingface.co/org/name/tree/main",
            "https://hub.example.org/org/name/blob/main/config.json",
            "org/name/tree/main",
            "org/name/resolve/main/model.safetensors",
            "hf://org/name",
            "https://huggingface.co/org/name/discussions/3",
        ] {
            assert_eq!(parsed(spec), address("org/name", None), "{spec}");
        }
        assert_eq!(parsed("https://huggingface.co/name"), address("name", None));
        assert_eq!(parsed("https://huggingface.co/org/name/tree/v2"), address("org/name", Some("v2")));
        assert_eq!(
            parsed("https://huggingface.co/org/name/tree/refs%2Fpr%2F1"),
            address("org/name", Some("refs/pr/1"))
        );
        assert_eq!(parsed("https://huggingface.co/org/name@v2"), address("org/name", Some("v2")));
        for spec in ["org/name", "name", "./org/name/tree", "~/a/tree/main", "/a/b/tree/main", "a/b/c"] {
            assert_eq!(parse(spec, "https://huggingface.co"), None, "{spec}");
        }
    }

    #[test]
    fn other_addresses_say_what_they_are() {
        for (spec, part) in [
            ("https://github.com/org/name", "github.com"),
            ("https://huggingface.co/datasets/org/name", "data set"),
            ("https://huggingface.co/spaces/org/name", "space"),
            ("https://huggingface.co/", "https://huggingface.co/org/name"),
            ("https://huggingface.co/a/b/c/d", "https://huggingface.co/org/name"),
            ("https://huggingface.co/org/name/tree/main/onnx", "onnx"),
        ] {
            let reason = parse(spec, "https://huggingface.co").unwrap().unwrap_err();
            assert!(reason.contains(part), "{spec}: {reason}");
        }
    }
}
