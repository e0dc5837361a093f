//! The hub's protocol against a server of our own: nothing here touches the network.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use topwork_models::{HubSettings, Located, ModelError, tokenizer_file_names};

/// The directory of a model.
fn locate(spec: &str, hub: &HubSettings) -> Result<std::path::PathBuf, ModelError> {
    topwork_models::locate(spec, hub).map(|Located { directory, .. }| directory)
}

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// What a request said.
#[derive(Clone, Debug)]
struct Request {
    path: String,
    authorization: Option<String>,
}

/// A hub with the given files, and the requests it has had.
struct Hub {
    endpoint: String,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Hub {
    fn with(files: &[(&str, &[u8])]) -> Self {
        let files: BTreeMap<String, Vec<u8>> =
            files.iter().map(|(name, content)| (name.to_string(), content.to_vec())).collect();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&requests);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                answer(stream.unwrap(), &files, &seen);
            }
        });
        Self { endpoint, requests }
    }

    fn settings(&self, cache: &Path) -> HubSettings {
        HubSettings {
            cache: cache.to_path_buf(),
            endpoint: self.endpoint.clone(),
            token: None,
            offline: false,
            patience: Duration::from_secs(10),
            home: None,
        }
    }

    fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }
}

fn answer(mut stream: TcpStream, files: &BTreeMap<String, Vec<u8>>, seen: &Mutex<Vec<Request>>) {
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
    let first = lines.next().unwrap().unwrap();
    let headers: BTreeMap<String, String> = lines
        .map_while(Result::ok)
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.split_once(": ").map(|(name, value)| (name.to_lowercase(), value.to_string())))
        .collect();
    let path = first.split(' ').nth(1).unwrap().to_string();
    let authorization = headers.get("authorization").cloned();
    seen.lock().unwrap().push(Request { path: path.clone(), authorization: authorization.clone() });
    let common = format!("x-repo-commit: {COMMIT}\r\nconnection: close\r\n");
    if path.starts_with("/org/gated/") && authorization.as_deref() != Some("Bearer hf_secret") {
        write!(stream, "HTTP/1.1 401 Unauthorized\r\n{common}content-length: 0\r\n\r\n").unwrap();
        return;
    }
    let file = path.split("/resolve/").nth(1).and_then(|rest| rest.split_once('/')).map(|(_, file)| file);
    let Some(content) = file.and_then(|file| files.get(file)) else {
        write!(stream, "HTTP/1.1 404 Not Found\r\n{common}content-length: 0\r\n\r\n").unwrap();
        return;
    };
    // Files with the same tag are one file in the cache.
    let mark =
        content.iter().fold(content.len() as u64, |mark, byte| mark.wrapping_mul(31).wrapping_add((*byte).into()));
    let etag = format!("\"{mark}\"");
    let (from, to) = headers.get("range").and_then(|range| range.strip_prefix("bytes=")?.split_once('-')).map_or(
        (0, content.len()),
        |(from, to)| {
            (from.parse().unwrap(), to.parse::<usize>().map_or(content.len(), |last| (last + 1).min(content.len())))
        },
    );
    write!(
        stream,
        "HTTP/1.1 206 Partial Content\r\n{common}etag: {etag}\r\ncontent-range: bytes {from}-{}/{}\r\ncontent-length: {}\r\n\r\n",
        to.saturating_sub(1),
        content.len(),
        to - from,
    )
    .unwrap();
    stream.write_all(&content[from..to]).unwrap();
}

/// A sentence encoder's pooling comes with it.
#[test]
fn the_pooling_of_a_sentence_encoder_is_fetched() {
    let modules: &[u8] = b"[{\"type\": \"sentence_transformers.models.Pooling\", \"path\": \"1_Pooling\"}]";
    let files = [("modules.json", modules), ("1_Pooling/config.json", b"{\"pooling_mode\": \"mean\"}")];
    let (hub, cache) = (Hub::with(&[MODEL, &files].concat()), tempfile::tempdir().unwrap());
    let directory = locate("org/model", &hub.settings(cache.path())).unwrap();
    assert_eq!(std::fs::read(directory.join("1_Pooling/config.json")).unwrap(), files[1].1);
    // Who has the model from another program, without these files, has it all the same.
    for name in ["modules.json", "1_Pooling/config.json"] {
        std::fs::remove_file(directory.join(name)).unwrap();
    }
    let offline = HubSettings { offline: true, ..hub.settings(cache.path()) };
    let closed = HubSettings { endpoint: "http://127.0.0.1:1".into(), ..hub.settings(cache.path()) };
    assert_eq!([&offline, &closed].map(|hub| locate("org/model", hub).unwrap()), [directory.clone(), directory]);
}

const MODEL: &[(&str, &[u8])] =
    &[("config.json", b"{\"model_type\": \"bert\"}"), ("model.safetensors", b"weights"), ("tokenizer.json", b"{}")];

#[test]
fn a_model_is_fetched_once_and_then_found_without_a_request() {
    let (hub, cache) = (Hub::with(MODEL), tempfile::tempdir().unwrap());
    let settings = hub.settings(cache.path());
    let directory = locate("org/model", &settings).unwrap();
    assert_eq!(std::fs::read(directory.join("model.safetensors")).unwrap(), b"weights");
    assert!(directory.ends_with(Path::new("models--org--model/snapshots").join(COMMIT)), "{}", directory.display());
    let asked = hub.requests().len();
    assert!(asked > 0);
    assert_eq!(locate("org/model", &settings).unwrap(), directory);
    assert_eq!(hub.requests().len(), asked, "everything is in the cache");
    let offline = HubSettings { offline: true, ..settings };
    assert_eq!(locate("org/model", &offline).unwrap(), directory);
    assert_eq!(hub.requests().len(), asked);
}

#[test]
fn offline_makes_no_request_at_all() {
    let (hub, cache) = (Hub::with(MODEL), tempfile::tempdir().unwrap());
    let settings = HubSettings { offline: true, ..hub.settings(cache.path()) };
    let error = locate("org/model", &settings).unwrap_err();
    assert!(matches!(error, ModelError::OfflineMiss { .. }), "{error}");
    assert_eq!(error.hint().as_deref(), Some("unset HF_HUB_OFFLINE TRANSFORMERS_OFFLINE"));
    assert!(hub.requests().is_empty());
}

#[test]
fn shards_are_fetched_by_their_index() {
    let index = br#"{"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}"#;
    let files: &[(&str, &[u8])] = &[
        MODEL[0],
        MODEL[2],
        ("model.safetensors.index.json", index),
        ("model-1.safetensors", b"one"),
        ("model-2.safetensors", b"two"),
    ];
    let (hub, cache) = (Hub::with(files), tempfile::tempdir().unwrap());
    let directory = locate("org/sharded", &hub.settings(cache.path())).unwrap();
    assert_eq!(std::fs::read(directory.join("model-2.safetensors")).unwrap(), b"two");
}

#[test]
fn the_files_of_every_kind_of_tokenizer_are_fetched() {
    let settings: [&str; 3] = ["tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"];
    for set in tokenizer_file_names() {
        let mut files = vec![MODEL[0], MODEL[1]];
        files.extend(set.iter().chain(&settings).map(|name| (*name, name.as_bytes())));
        let (hub, cache) = (Hub::with(&files), tempfile::tempdir().unwrap());
        let directory = locate("org/model", &hub.settings(cache.path())).unwrap();
        for name in set.iter().chain(&settings) {
            let found = std::fs::read_to_string(directory.join(name));
            // What was added stands in a `tokenizer.json`.
            let is_wanted = *name != "added_tokens.json" || set != ["tokenizer.json"];
            assert_eq!(found.ok().as_deref(), is_wanted.then_some(*name), "{set:?}");
        }
        let asked = hub.requests().len();
        let offline = HubSettings { offline: true, ..hub.settings(cache.path()) };
        assert_eq!(locate("org/model", &offline).unwrap(), directory);
        assert_eq!(hub.requests().len(), asked, "{set:?}");
    }
}

#[test]
fn a_model_without_a_tokenizer_that_is_read_is_refused() {
    for files in [&[][..], &[("merges.txt", &b""[..])], &[("tokenizer.model", b"")]] {
        let files = [&MODEL[..2], files].concat();
        let (hub, cache) = (Hub::with(&files), tempfile::tempdir().unwrap());
        let error = locate("org/model", &hub.settings(cache.path())).unwrap_err();
        assert!(
            matches!(&error, ModelError::HubStatus { status: 404, file, .. } if file == "tokenizer.json"),
            "{error}"
        );
    }
}

/// Weights of PyTorch are fetched where there are no safetensors, whole or in parts, and only there.
#[test]
fn weights_of_pytorch_are_fetched_where_there_are_no_others() {
    let pickle: (&str, &[u8]) = ("pytorch_model.bin", b"weights");
    let (hub, cache) = (Hub::with(&[MODEL[0], MODEL[2], pickle]), tempfile::tempdir().unwrap());
    let directory = locate("org/old", &hub.settings(cache.path())).unwrap();
    assert_eq!(std::fs::read(directory.join("pytorch_model.bin")).unwrap(), b"weights");
    let offline = HubSettings { offline: true, ..hub.settings(cache.path()) };
    assert_eq!(locate("org/old", &offline).unwrap(), directory);

    let index = br#"{"weight_map": {"a": "pytorch_model-1.bin", "b": "pytorch_model-2.bin"}}"#;
    let parts: &[(&str, &[u8])] =
        &[("pytorch_model.bin.index.json", index), ("pytorch_model-1.bin", b"one"), ("pytorch_model-2.bin", b"two")];
    let (hub, cache) = (Hub::with(&[&[MODEL[0], MODEL[2]], parts].concat()), tempfile::tempdir().unwrap());
    let directory = locate("org/old", &hub.settings(cache.path())).unwrap();
    assert_eq!(std::fs::read(directory.join("pytorch_model-2.bin")).unwrap(), b"two");

    let (hub, cache) = (Hub::with(&[MODEL, &[pickle]].concat()), tempfile::tempdir().unwrap());
    let directory = locate("org/both", &hub.settings(cache.path())).unwrap();
    assert!(!directory.join("pytorch_model.bin").exists());
    assert!(hub.requests().iter().all(|request| !request.path.contains("pytorch_model")));

    let (hub, cache) = (Hub::with(&[MODEL[0], MODEL[2]]), tempfile::tempdir().unwrap());
    let error = locate("org/none", &hub.settings(cache.path())).unwrap_err();
    assert!(
        matches!(&error, ModelError::HubStatus { status: 404, file, .. } if file == "model.safetensors"),
        "{error}"
    );
}

/// The address of a page is as good as an id.
#[test]
fn an_address_of_the_hub_is_its_model() {
    let (hub, cache) = (Hub::with(MODEL), tempfile::tempdir().unwrap());
    let settings = hub.settings(cache.path());
    let directory = locate("org/model", &settings).unwrap();
    let asked = hub.requests().len();
    let own = format!("{}/org/model", hub.endpoint);
    for spec in [
        "https://huggingface.co/org/model",
        "org/model/tree/main",
        "https://hf.co/org/model/blob/main/config.json",
        &own,
    ] {
        let found = topwork_models::locate(spec, &settings).unwrap();
        assert_eq!(found.directory, directory, "{spec}");
        assert!(found.notes[0].contains("org/model"), "{:?}", found.notes);
        assert_eq!(topwork_models::hub_id("https://huggingface.co/org/model/tree/main").as_deref(), Some("org/model"));
    }
    assert_eq!(hub.requests().len(), asked, "everything is in the cache");
    locate("https://huggingface.co/org/model/tree/v2", &settings).unwrap();
    assert!(hub.requests()[asked].path.contains("/resolve/v2/"), "{:?}", hub.requests()[asked]);
    for spec in ["https://github.com/org/model", "https://huggingface.co/datasets/org/model"] {
        let error = locate(spec, &settings).unwrap_err();
        assert!(matches!(error, ModelError::NoSuchModel { .. }), "{error}");
    }
}

#[test]
fn the_token_is_sent_and_missing_it_is_explained() {
    let (hub, cache) = (Hub::with(MODEL), tempfile::tempdir().unwrap());
    let error = locate("org/gated", &hub.settings(cache.path())).unwrap_err();
    assert!(matches!(error, ModelError::HubStatus { status: 401, .. }), "{error}");
    assert!(error.hint().unwrap().contains("HF_TOKEN"));
    let settings = HubSettings { token: Some("hf_secret".into()), ..hub.settings(cache.path()) };
    locate("org/gated", &settings).unwrap();
    assert!(hub.requests().iter().any(|request| request.authorization.as_deref() == Some("Bearer hf_secret")));
    assert!(!format!("{settings:?}").contains("hf_secret"), "the token stays out of logs");
}

#[test]
fn a_revision_is_asked_for_by_name() {
    let (hub, cache) = (Hub::with(MODEL), tempfile::tempdir().unwrap());
    locate("org/model@v2", &hub.settings(cache.path())).unwrap();
    assert!(hub.requests()[0].path.contains("/resolve/v2/"), "{:?}", hub.requests()[0]);
}

#[test]
fn what_is_neither_a_directory_nor_an_id_is_said_without_a_request() {
    let (hub, cache) = (Hub::with(MODEL), tempfile::tempdir().unwrap());
    for spec in ["./no/such/dir", "a/b/c", "org/mo del", "org/model@../../x"] {
        let error = locate(spec, &hub.settings(cache.path())).unwrap_err();
        assert!(matches!(error, ModelError::NoSuchModel { .. }), "{spec}: {error}");
    }
    assert!(hub.requests().is_empty());
}

#[test]
fn a_hub_that_is_not_there_is_an_error_and_not_a_wait() {
    let cache = tempfile::tempdir().unwrap();
    let settings = HubSettings { endpoint: "http://127.0.0.1:9".into(), ..Hub::with(&[]).settings(cache.path()) };
    let error = locate("org/model", &settings).unwrap_err();
    assert!(matches!(error, ModelError::HubRequest { .. }), "{error}");
}

#[test]
fn the_environment_is_read_as_huggingface_hub_documents_it() {
    let settings = |variables: &[(&str, &str)]| {
        HubSettings::from_lookup(|name| variables.iter().find(|(key, _)| *key == name).map(|(_, v)| v.to_string()))
    };
    let plain = settings(&[("HOME", "/home/ada")]);
    assert_eq!(plain.cache, Path::new("/home/ada/.cache/huggingface/hub"));
    assert_eq!(plain.endpoint, "https://huggingface.co");
    assert!(!plain.offline);
    let own = settings(&[
        ("HF_HOME", "/data/hf"),
        ("HF_ENDPOINT", "http://mirror:8080/"),
        ("HF_HUB_OFFLINE", "1"),
        ("HF_TOKEN", "hf_x"),
    ]);
    assert_eq!((own.cache.as_path(), own.endpoint.as_str()), (Path::new("/data/hf/hub"), "http://mirror:8080"));
    assert_eq!((own.offline, own.token.as_deref()), (true, Some("hf_x")));
    assert_eq!(settings(&[("HF_HOME", "/a"), ("HF_HUB_CACHE", "/b")]).cache, Path::new("/b"));
    assert!(settings(&[("TRANSFORMERS_OFFLINE", "1")]).offline);
    assert!(settings(&[("HF_HUB_OFFLINE", ""), ("TRANSFORMERS_OFFLINE", "TRUE")]).offline);
    assert!(!settings(&[("HF_HUB_OFFLINE", "0"), ("TRANSFORMERS_OFFLINE", "1")]).offline);
}
