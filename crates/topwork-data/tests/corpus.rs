//! Laws of the corpus: the same documents whatever the file, nothing lost but what is counted, and passages that visit
//! every token once.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::{BTreeMap, HashSet};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parquet::basic::Compression;
use parquet::data_type::{ByteArray, ByteArrayType, Int64Type};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use tempfile::TempDir;
use tokenizers::Tokenizer;
use topwork_data::{
    Corpus, CorpusCounts, CorpusOptions, CorpusPart, DataError, Passage, PassageOrder, Passages, TokenStore,
};

/// A directory and files in it.
struct Files {
    folder: TempDir,
}

impl Files {
    fn new() -> Files {
        Files { folder: tempfile::tempdir().unwrap() }
    }

    fn add(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }
}

fn options() -> CorpusOptions {
    CorpusOptions { text_column: None, held_out_fraction: 0.0, seed: 1 }
}

fn read(paths: &[PathBuf], options: &CorpusOptions) -> Result<Corpus, DataError> {
    Corpus::read(paths, options, &mut |_| {})
}

fn documents(corpus: &Corpus, part: CorpusPart) -> Vec<String> {
    corpus.documents(part).map(Result::unwrap).collect()
}

/// The documents of one file.
fn read_one(name: &str, bytes: impl AsRef<[u8]>) -> Vec<String> {
    let path = Files::new();
    let path = (path.add(name, bytes), path);
    let corpus = read(&[path.0], &options()).unwrap_or_else(|error| panic!("{name}: {error}"));
    documents(&corpus, CorpusPart::Train)
}

#[track_caller]
fn fails(path: &Path, options: &CorpusOptions, parts: &[&str], hint: &str) {
    let error = read(&[path.into()], options).unwrap_err();
    let text = error.to_string();
    assert!(text.contains(path.to_str().unwrap()), "{text}");
    for part in parts {
        assert!(text.contains(part), "`{part}` is not in: {text}");
    }
    let found = error.hint().unwrap_or_default();
    assert!(found.contains(hint), "`{hint}` is not in the hint: {found}");
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 1).unwrap()
}

/// A file with a column of numbers and one of texts, some of them missing, in groups of three rows.
fn parquet_file(rows: &[Option<&str>], compression: Compression) -> Vec<u8> {
    let schema = "message rows { REQUIRED INT64 id; OPTIONAL BYTE_ARRAY text (UTF8); }";
    let schema = Arc::new(parse_message_type(schema).unwrap());
    let properties = Arc::new(WriterProperties::builder().set_compression(compression).build());
    let mut bytes = Vec::new();
    let mut writer = SerializedFileWriter::new(&mut bytes, schema, properties).unwrap();
    for rows in rows.chunks(3) {
        let mut group = writer.next_row_group().unwrap();
        let mut ids = group.next_column().unwrap().unwrap();
        let numbers: Vec<i64> = (0..rows.len() as i64).collect();
        ids.typed::<Int64Type>().write_batch(&numbers, None, None).unwrap();
        ids.close().unwrap();
        let mut texts = group.next_column().unwrap().unwrap();
        let values: Vec<ByteArray> = rows.iter().flatten().map(|&text| ByteArray::from(text)).collect();
        let levels: Vec<i16> = rows.iter().map(|row| i16::from(row.is_some())).collect();
        texts.typed::<ByteArrayType>().write_batch(&values, Some(&levels), None).unwrap();
        texts.close().unwrap();
        group.close().unwrap();
    }
    writer.close().unwrap();
    bytes
}

const DOCUMENTS: [&str; 4] =
    ["One line.", "Two lines. Of three sentences.\nHere, \"quoted\".", "Ünïcode 🍎\ttab", "{curly, but no JSON"];

#[test]
fn one_content_in_every_format_gives_the_same_documents() {
    let text = DOCUMENTS.join("\n\n");
    let quoted = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
    let csv: String = DOCUMENTS.iter().enumerate().map(|(i, text)| format!("{i},{}\n", quoted(text))).collect();
    let csv = format!("id,text\n{csv}");
    let tsv: String = DOCUMENTS.iter().map(|text| quoted(text) + "\t1\n").collect();
    let jsonl: String =
        DOCUMENTS.iter().map(|text| serde_json::json!({"id": 1, "text": text}).to_string() + "\n").collect();
    let rows = DOCUMENTS.map(Some);
    let files: Vec<(&str, Vec<u8>)> = vec![
        ("a.txt", text.clone().into()),
        ("no-ending", text.clone().into()),
        ("crlf.txt", text.replace('\n', "\r\n").into()),
        ("bom.txt", format!("\u{feff}{text}\n\n\n").into()),
        ("spaces.txt", text.replace('\n', " \t\n  ").into()),
        ("a.txt.gz", gzip(text.as_bytes())),
        ("two-members.txt.gz", [gzip(&text.as_bytes()[..9]), gzip(&text.as_bytes()[9..])].concat()),
        ("a.txt.zst", zstd(text.as_bytes())),
        ("packed-in-secret.txt", zstd(text.as_bytes())),
        ("a.csv", csv.clone().into()),
        ("crlf.csv", csv.replace('\n', "\r\n").into()),
        ("bom.csv", format!("\u{feff}{csv}").into()),
        ("semicolons.csv", csv.replace("id,text", "id;text").replace(",\"", ";\"").into()),
        ("a.csv.gz", gzip(csv.as_bytes())),
        ("a.tsv", format!("text\tid\n{tsv}").into()),
        ("a.jsonl", jsonl.clone().into()),
        ("a.jsonl.zst", zstd(jsonl.as_bytes())),
        ("a.json", format!("[{}]", jsonl.trim().replace('\n', ",\n")).into()),
        ("plain.parquet", parquet_file(&rows, Compression::UNCOMPRESSED)),
        ("snappy.parquet", parquet_file(&rows, Compression::SNAPPY)),
        ("gzip.parquet", parquet_file(&rows, Compression::GZIP(Default::default()))),
        ("zstd.parquet", parquet_file(&rows, Compression::ZSTD(Default::default()))),
    ];
    for (name, bytes) in files {
        assert_eq!(read_one(name, bytes), DOCUMENTS, "{name}");
    }
}

#[test]
fn every_line_is_a_document_where_that_is_asked_for() {
    let files = Files::new();
    let paths = [files.add("a.txt", "one\n\ntwo\nthree\n"), files.add("b.csv", "text\n\"four\nfive\"\n")];
    let corpus = Corpus::read_lines(&paths, &options(), &mut |_| {}).unwrap();
    assert_eq!(documents(&corpus, CorpusPart::Train), ["one", "two", "three", "four\nfive"]);
    assert_eq!(corpus.counts().empty_lines, 1);
}

#[test]
fn sources_are_hashed_and_progress_is_told() {
    let files = Files::new();
    let text = "some words\n".repeat(300_000);
    let paths = [
        files.add("a.txt", &text),
        files.add("b.txt.gz", gzip(b"other words")),
        files.add("c.parquet", parquet_file(&[Some("third")], Compression::SNAPPY)),
    ];
    let mut told = Vec::new();
    let corpus = Corpus::read(&paths, &options(), &mut |bytes| told.push(bytes)).unwrap();
    let sizes: Vec<u64> = paths.iter().map(|path| std::fs::metadata(path).unwrap().len()).collect();
    assert!(told.is_sorted() && told.last() == Some(&sizes.iter().sum()), "{told:?}");
    for (source, size) in corpus.sources().iter().zip(sizes) {
        assert_eq!((source.bytes, source.documents), (size, 1));
        let bytes = std::fs::read(&source.path).unwrap();
        let digest = <sha2::Sha256 as sha2::Digest>::digest(bytes);
        assert_eq!(source.sha256, digest.iter().map(|byte| format!("{byte:02x}")).collect::<String>());
    }
}

/// A document of words without pattern.
fn words(seed: u64, count: u64) -> Vec<String> {
    let hash = |i: u64| (seed * 1_000_003 + i).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 50;
    (0..count).map(|i| format!("word{}", hash(i))).collect()
}

#[test]
fn duplicates_and_empty_lines_are_dropped_with_a_count() {
    let files = Files::new();
    let long = words(1, 200);
    let mut near = long.clone();
    near[100] = "another".into();
    let texts = [long.join(" "), "short text".into(), "Short\n TEXT".into(), near.join("\n"), "short text!".into()];
    let paths = [
        files.add("a.txt", format!("\n\n{}\n\n\n", texts.join("\n\n"))),
        files.add("b.csv", format!("text\n{}\n\"\"\n  \nnew\n", long.join(" "))),
    ];
    let corpus = read(&paths, &options()).unwrap();
    assert_eq!(documents(&corpus, CorpusPart::Train), [&texts[0], "short text", "short text!", "new"]);
    // Blank lines: two at the beginning and the last of three at the end; empty rows: two.
    let counts =
        CorpusCounts { documents: 4, exact_duplicates: 2, near_duplicates: 1, empty_lines: 5, held_out_documents: 0 };
    assert_eq!(corpus.counts(), &counts);
    assert_eq!(corpus.sources().iter().map(|source| source.documents).collect::<Vec<_>>(), [3, 1]);
}

#[test]
fn lines_that_repeat_within_a_document_stay() {
    assert_eq!(read_one("a.txt", "again\nagain\n\nlast"), ["again\nagain", "last"]);
}

#[test]
fn what_is_held_out_is_disjoint_repeatable_and_stays_when_a_file_is_added() {
    let files = Files::new();
    let many = |from: u64, to: u64| (from..to).map(|i| words(i, 30).join(" ")).collect::<Vec<_>>().join("\n\n");
    let first = files.add("a.txt", many(0, 300));
    let second = files.add("b.txt", many(300, 500));
    let options = CorpusOptions { held_out_fraction: 0.2, seed: 3, ..options() };
    let parts = |paths: &[PathBuf], options: &CorpusOptions| {
        let corpus = read(paths, options).unwrap();
        let [train, held_out] = [CorpusPart::Train, CorpusPart::HeldOut].map(|part| documents(&corpus, part));
        assert_eq!(corpus.counts().held_out_documents, held_out.len() as u64);
        assert_eq!(corpus.counts().documents, (train.len() + held_out.len()) as u64);
        (train, held_out)
    };
    let (train, held_out) = parts(std::slice::from_ref(&first), &options);
    assert_eq!(train.len() + held_out.len(), 300);
    assert!((40..80).contains(&held_out.len()), "{}", held_out.len());
    assert!(held_out.iter().all(|text| !train.contains(text)));
    assert_eq!(parts(std::slice::from_ref(&first), &options), (train.clone(), held_out.clone()));
    let (more_train, more_held_out) = parts(&[second.clone(), first.clone()], &options);
    assert!(more_train.ends_with(&train) && more_held_out.ends_with(&held_out));
    let other = CorpusOptions { seed: 4, ..options };
    assert_ne!(parts(std::slice::from_ref(&first), &other).1, held_out);
    let all = CorpusOptions { held_out_fraction: 1.0, ..other.clone() };
    assert_eq!(parts(std::slice::from_ref(&first), &all).0.len(), 1);
    let few = CorpusOptions { held_out_fraction: 1e-12, ..other };
    assert_eq!(parts(&[first], &few).1.len(), 1);
}

#[test]
fn the_number_of_threads_changes_nothing() {
    let files = Files::new();
    let path = files.add("a.txt", (0..3000).map(|i| words(i % 2500, 60).join(" ")).collect::<Vec<_>>().join("\n\n"));
    let read = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let corpus =
                read(std::slice::from_ref(&path), &CorpusOptions { held_out_fraction: 0.1, ..options() }).unwrap();
            let store = corpus.tokenize(CorpusPart::HeldOut, &tokenizer()).unwrap();
            let passages = collect(store.passages(50, PassageOrder::AsStored).unwrap());
            (corpus.counts().clone(), documents(&corpus, CorpusPart::Train), passages)
        })
    };
    assert_eq!(read(1), read(3));
}

/// Every character is a token, its number the character's; what has no number is unknown, and `e` is no token at all.
fn tokenizer() -> Tokenizer {
    let vocabulary: BTreeMap<String, u32> = ('!'..='z').map(|c| (c.to_string(), c as u32)).collect();
    let vocabulary = vocabulary.into_iter().chain([("[UNK]".to_string(), 0), ("[SEP]".to_string(), 1)]);
    let special = |token: &str, id: u32| {
        serde_json::json!({ "id": id, "content": token, "single_word": false, "lstrip": false, "rstrip": false,
                            "normalized": false, "special": true })
    };
    let json = serde_json::json!({
        "version": "1.0",
        "truncation": { "direction": "Right", "max_length": 3, "strategy": "LongestFirst", "stride": 0 },
        "padding": { "strategy": { "Fixed": 9 }, "direction": "Right", "pad_to_multiple_of": null, "pad_id": 0,
                     "pad_type_id": 0, "pad_token": "[UNK]" },
        "added_tokens": [special("[UNK]", 0), special("[SEP]", 1)],
        "normalizer": { "type": "Replace", "pattern": { "Regex": "[e\\s]" }, "content": "" },
        "pre_tokenizer": { "type": "Split", "pattern": { "Regex": "." }, "behavior": "Isolated", "invert": false },
        "post_processor": { "type": "BertProcessing", "sep": ["[SEP]", 1], "cls": ["[SEP]", 1] },
        "decoder": null,
        "model": { "type": "WordLevel", "unk_token": "[UNK]", "vocab": vocabulary.collect::<BTreeMap<_, _>>() },
    });
    json.to_string().parse().unwrap()
}

fn collect(passages: Passages) -> Vec<Passage> {
    passages.map(Result::unwrap).collect()
}

/// The tokens of a text, with `tokenizer`.
fn ids(text: &str) -> Vec<u32> {
    let tokens = text.chars().filter(|&c| c != 'e' && !c.is_whitespace());
    tokens.map(|c| if ('!'..='z').contains(&c) { c as u32 } else { 0 }).collect()
}

fn store(texts: &[String]) -> TokenStore {
    let files = Files::new();
    let path = files.add("a.txt", texts.join("\n\n"));
    let store = read(&[path], &options()).unwrap().tokenize(CorpusPart::Train, &tokenizer()).unwrap();
    // Neither the file nor the corpus is there any more.
    store
}

/// Documents of some sentences on some lines, the last ones very long.
fn texts() -> Vec<String> {
    let document = |seed: u64| {
        let sentences = words(seed, 40 + seed % 300);
        let sentences = sentences.chunks(4 + (seed % 5) as usize).map(|words| format!("A {}.", words.join(" ")));
        sentences.collect::<Vec<_>>().chunks(3).map(|line| line.join(" ")).collect::<Vec<_>>().join("\n")
    };
    let mut texts: Vec<String> = (0..400).map(document).collect();
    texts.push((0..300_000).map(|i| if i % 1000 == 0 { ' ' } else { char::from(b'a' + (i % 23) as u8) }).collect());
    texts
}

#[test]
fn tokens_are_those_of_the_sentences() {
    let store = store(&["One [SEP] two. Three ü!\nfour".into(), "e e".into(), "e. Five".into()]);
    let passages = collect(store.passages(100, PassageOrder::AsStored).unwrap());
    let sentences: [&[&str]; 2] = [&["One [SEP] two.", "Three ü!", "four"], &[".", "Five"]];
    assert_eq!((store.documents(), store.unknown()), (2, 1));
    assert_eq!(store.tokens(), passages.iter().map(|passage| passage.ids.len() as u64).sum::<u64>());
    for (number, (passage, sentences)) in passages.iter().zip(sentences).enumerate() {
        assert_eq!(passage.document, number as u64);
        assert_eq!(passage.ids, ids(&sentences.concat()));
        let ends = sentences.iter().scan(0, |end, sentence| {
            *end += ids(sentence).len() as u32;
            Some(*end)
        });
        assert_eq!(passage.sentence_ends, ends.collect::<Vec<_>>());
    }
}

/// A tokenizer that keeps the space before a word sees it within a line, also where a sentence begins.
#[test]
fn a_sentence_after_another_begins_with_a_space() {
    let vocabulary = ["[UNK]", "Go", "ĠGo", ".", "Ġon"];
    let vocabulary: BTreeMap<&str, usize> = vocabulary.into_iter().zip(0..).collect();
    let json = serde_json::json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": [], "normalizer": null,
        "pre_tokenizer": { "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true },
        "post_processor": null, "decoder": null,
        "model": { "type": "WordLevel", "unk_token": "[UNK]", "vocab": vocabulary },
    });
    let files = Files::new();
    let path = files.add("a.txt", "Go on. Go on.\nGo.");
    let tokenizer: Tokenizer = json.to_string().parse().unwrap();
    let store = read(&[path], &options()).unwrap().tokenize(CorpusPart::Train, &tokenizer).unwrap();
    let passages = collect(store.passages(100, PassageOrder::AsStored).unwrap());
    assert_eq!(passages[0].ids, [1, 4, 3, 2, 4, 3, 1, 3]);
}

#[test]
fn passages_in_order_are_the_store_and_shuffled_ones_a_permutation_of_it() {
    let texts = texts();
    let store = store(&texts);
    assert_eq!(store.documents(), texts.len() as u64);
    for max_tokens in [1, 17, 128] {
        let tokens = max_tokens as u64;
        let ordered = collect(store.passages(max_tokens, PassageOrder::AsStored).unwrap());
        assert!(ordered.iter().all(|passage| (1..=max_tokens).contains(&passage.ids.len())));
        assert_eq!(joined(&ordered), texts.iter().map(|text| ids(text)).collect::<Vec<_>>());
        for buffer in [0, 1000, 10_000_000] {
            let order = |epoch| PassageOrder::Shuffled { seed: tokens, epoch, buffer };
            let [first, again, second] =
                [1, 1, 2].map(|epoch| collect(store.passages(max_tokens, order(epoch)).unwrap()));
            assert!(first == again);
            // Passages of one token are cut the same, and two orders of a few blocks may be.
            assert!(first != second || (max_tokens == 1 && buffer == 0));
            for shuffled in [first, second] {
                assert!(shuffled.iter().all(|passage| (1..=max_tokens).contains(&passage.ids.len())));
                assert!(shuffled.iter().all(|p| p.sentence_ends.last().copied() == Some(p.ids.len() as u32)));
                assert!(counted(&shuffled, texts.len()) == counted(&ordered, texts.len()));
            }
        }
    }
}

/// How often each document has each token.
fn counted(passages: &[Passage], documents: usize) -> Vec<[u32; 128]> {
    let mut counts = vec![[0; 128]; documents];
    for passage in passages {
        passage.ids.iter().for_each(|&id| counts[passage.document as usize][id as usize] += 1);
    }
    counts
}

/// The tokens of each document, from its passages in order.
fn joined(passages: &[Passage]) -> Vec<Vec<u32>> {
    let mut documents: Vec<Vec<u32>> = Vec::new();
    for passage in passages {
        documents.resize(documents.len().max(passage.document as usize + 1), Vec::new());
        documents[passage.document as usize].extend(&passage.ids);
    }
    documents
}

#[test]
fn a_larger_buffer_mixes_further_and_epochs_cut_elsewhere() {
    let store = store(&texts());
    let passages =
        |epoch, buffer| collect(store.passages(256, PassageOrder::Shuffled { seed: 5, epoch, buffer }).unwrap());
    let neighbours = |passages: &[Passage]| {
        let near = |pair: &&[Passage]| pair[0].document.abs_diff(pair[1].document) <= 1;
        passages.windows(2).filter(near).count() as f64 / passages.len() as f64
    };
    // With a buffer of one, the passages of a block stay in order, and only blocks change places.
    assert!(neighbours(&passages(0, 1)) > 0.99);
    assert!(neighbours(&passages(0, 2000)) < 0.5);
    assert!(passages(0, 1) != collect(store.passages(256, PassageOrder::AsStored).unwrap()));
    let first_document = |epoch| passages(epoch, 1)[0].document;
    assert!((1..8).any(|epoch| first_document(epoch) != first_document(0)));
    let distinct = |epoch| passages(epoch, 1).into_iter().map(|passage| passage.ids).collect::<HashSet<_>>();
    let (first, second) = (distinct(1), distinct(2));
    let (same, all) = (first.intersection(&second).count(), first.len());
    assert!(same < all / 2, "{same} of {all}");
}

#[test]
fn the_order_of_passages_never_changes() {
    // A run that goes on after an update must see what it would have seen.
    let store = store(&(0..40).map(|i| words(i, 30).join(" ")).collect::<Vec<_>>());
    let order = PassageOrder::Shuffled { seed: 1, epoch: 0, buffer: 8 };
    let passages = collect(store.passages(64, order).unwrap());
    let start: Vec<(u64, usize)> =
        passages.iter().take(8).map(|passage| (passage.document, passage.ids.len())).collect();
    assert_eq!(start, PINNED);
}

const PINNED: [(u64, usize); 8] = [(0, 26), (0, 64), (1, 64), (1, 64), (2, 64), (2, 64), (1, 64), (2, 12)];

#[test]
fn passages_can_go_to_another_thread() {
    let passages = store(&["a b c".into()]).passages(2, PassageOrder::AsStored).unwrap();
    assert_eq!(std::thread::spawn(|| collect(passages).len()).join().unwrap(), 2);
}

#[test]
fn passages_without_tokens_are_refused() {
    let error = store(&["a".into()]).passages(0, PassageOrder::AsStored).unwrap_err();
    assert!(matches!(error, DataError::MaximumLengthTooSmall { .. }), "{error}");
}

#[test]
fn what_is_no_text_is_refused_with_its_place() {
    let files = Files::new();
    let binary = |name: &str, bytes: &[u8], parts: &[&str]| fails(&files.add(name, bytes), &options(), parts, "binary");
    binary("a.txt", b"fine\nzero \0 here\n", &["line 2", "offset 10"]);
    binary("a.png", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", &["line 3", "offset 8"]);
    binary("a.tar.gz", &gzip(b"name\0\0\0\0"), &["line 1", "offset 4"]);
    let damaged = files.add("damaged.txt", b"\xc3\xa9\ncaf\xe9\n");
    fails(&damaged, &options(), &["line 2", "0xe9", "offset 6"], "iconv -f WINDOWS-1251 -t UTF-8");
    fails(&files.add("l.txt.gz", gzip(b"\xc3\xa9 caf\xe9")), &options(), &["0xe9"], "gzip -dc");
}

#[test]
fn damaged_files_are_refused() {
    let files = Files::new();
    let text = words(1, 100_000).join("\n");
    let [gz, zst] = [gzip(text.as_bytes()), zstd(text.as_bytes())];
    fails(&files.add("a.gz", &gz[..gz.len() / 2]), &options(), &["whole gzip file"], "gzip -t");
    fails(&files.add("a.zst", &zst[..zst.len() / 2]), &options(), &["whole zstd file"], "zstd -t");
    let parquet = parquet_file(&[Some("a")], Compression::SNAPPY);
    fails(&files.add("a.parquet", &parquet[..parquet.len() - 9]), &options(), &["Parquet"], "JSON lines");
    fails(&files.add("b.parquet", "no such thing"), &options(), &["Parquet"], "JSON lines");
}

#[test]
fn what_is_not_there_is_said() {
    let files = Files::new();
    fails(files.folder.path(), &options(), &["expected a file, found a directory"], "ls");
    let path = files.add("corpus.txt", "text");
    fails(&files.folder.path().join("corpsu.txt"), &options(), &["no such file"], path.to_str().unwrap());
    let empty = files.add("empty.txt", "\n \n");
    let header = files.add("header.csv", "id,text\n");
    let error = read(&[empty.clone(), header.clone()], &options()).unwrap_err();
    for path in [empty, header] {
        assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
    }
    assert!(error.hint().is_some());
    assert!(read(&[], &options()).is_err());
}

#[test]
fn a_missing_column_is_named_with_those_there_are() {
    let files = Files::new();
    let named = CorpusOptions { text_column: Some("body".into()), ..options() };
    let csv = files.add("a.csv", "id,comment\n1,x\n");
    fails(&csv, &options(), &["line 1", "`text`", "`id`", "`comment`"], "--text-column");
    fails(&csv, &named, &["line 1", "`body`", "`id`", "`comment`"], "--text-column");
    let jsonl = files.add("a.jsonl", "{\"text\": \"a\"}\n{\"txt\": \"b\"}\n");
    fails(&jsonl, &options(), &["line 2", "`text`", "`txt`"], "every row");
    fails(&jsonl, &named, &["line 1", "`body`", "`text`"], "--text-column");
    fails(&files.add("b.jsonl", "{\"text\": 3}\n"), &options(), &["line 1", "`text`", "a number"], "every row");
    let parquet = files.add("a.parquet", parquet_file(&[Some("a")], Compression::SNAPPY));
    fails(&parquet, &named, &["`body`", "`id`", "`text`"], "--text-column");
    let number = CorpusOptions { text_column: Some("id".into()), ..options() };
    fails(&parquet, &number, &["`id`", "expected strings", "INT64"], "--text-column text");
}

#[test]
fn irregular_rows_are_errors_with_their_line() {
    let files = Files::new();
    let rows = "1,a text of some length\n".repeat(30_000);
    let at = |name: &str, last: &str| files.add(name, format!("id,text\n{rows}{last}"));
    fails(&at("a.csv", "1,2,3\n"), &options(), &["line 30002", "2 fields", "found 3"], "double quotes");
    fails(&at("b.csv", "1,\"open\n"), &options(), &["line 30002", "closed by a quote"], "twice");
    fails(&files.add("a.jsonl", "{\"text\": \"a\"}\n{\"text\n"), &options(), &["line 2", "broken JSON"], "object");
}

#[test]
fn long_fields_and_quotes_survive_the_pieces_in_which_tables_are_read() {
    let long: Vec<String> =
        (0..6).map(|i| words(i, 40_000).chunks(9).map(|line| line.join(" ")).collect::<Vec<_>>().join("\n")).collect();
    let csv: String = long.iter().map(|text| format!("1,\"{text}\"\n")).collect();
    assert_eq!(read_one("a.csv", format!("id,text\n{csv}")), long);
    // In a file separated by tabs that knows no quoting, a quote is a character.
    let lines: Vec<String> = (0..40_000).map(|i| format!("\"line {i}")).collect();
    let tsv: String = lines.iter().map(|text| format!("1\t{text}\n")).collect();
    assert_eq!(read_one("a.tsv", format!("id\ttext\n{tsv}")), lines);
}

#[test]
fn missing_values_are_empty_rows() {
    let files = Files::new();
    let rows = [Some("a"), None, Some(""), None, Some("b")];
    let jsonl: String = rows.iter().map(|text| serde_json::json!({ "text": text }).to_string() + "\n").collect();
    let paths = [files.add("a.parquet", parquet_file(&rows, Compression::SNAPPY)), files.add("a.jsonl", jsonl)];
    for path in paths {
        let corpus = read(&[path], &options()).unwrap();
        assert_eq!(documents(&corpus, CorpusPart::Train), ["a", "b"]);
        assert_eq!(corpus.counts().empty_lines, 3);
    }
}
