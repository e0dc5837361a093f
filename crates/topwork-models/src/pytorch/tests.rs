//! What PyTorch wrote is read as safetensors hold it; what else a file may say is refused, quickly.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;

use super::*;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/pytorch").join(name)
}

fn opened(path: &Path) -> BTreeMap<String, Tensor> {
    open(path).unwrap().tensors.into_iter().collect()
}

/// The bytes of a tensor, one value behind the other, the lowest byte first.
fn bytes(path: &Path, tensor: &Tensor) -> Vec<u8> {
    let mut content = Vec::new();
    tensor.place.reader(File::open(path).unwrap()).unwrap().read_to_end(&mut content).unwrap();
    assert_eq!(content.len() as u64, tensor.place.bytes);
    let size = tensors::element_size(tensor.dtype) as usize;
    if tensor.place.is_big_endian {
        content.chunks_exact_mut(size).for_each(<[u8]>::reverse);
    }
    let Some(strides) = &tensor.place.strides else { return content };
    let mut dense = Vec::new();
    for place in 0..tensor.shape.iter().product() {
        let (mut left, mut at) = (place, 0);
        for (size, stride) in tensor.shape.iter().zip(strides).rev() {
            (at, left) = (at + left % size * stride, left / size);
        }
        dense.extend_from_slice(&content[at * size..(at + 1) * size]);
    }
    dense
}

#[test]
fn every_file_holds_the_tensors_of_safetensors() {
    let expected = std::fs::read(fixture("expected.safetensors")).unwrap();
    let expected = safetensors::SafeTensors::deserialize(&expected).unwrap();
    for name in ["zip.pt", "protocol4.pt", "legacy.pt", "deflated.pt", "zip64.pt", "big_endian.pt"] {
        let path = fixture(name);
        let found = opened(&path);
        assert_eq!(found.len(), if name == "big_endian.pt" { 12 } else { expected.len() }, "{name}");
        for (key, tensor) in &found {
            let own = expected.tensor(key).unwrap();
            assert_eq!((tensor.dtype, tensor.shape.as_slice()), (own.dtype(), own.shape()), "{name}: {key}");
            assert_eq!(bytes(&path, tensor), own.data(), "{name}: {key}");
        }
    }
}

#[test]
fn a_state_dict_is_found_in_what_a_trainer_saves() {
    for (name, within) in [
        ("lightning.ckpt", &["state_dict"][..]),
        ("nested.pt", &["model", "state_dict"]),
        ("deepspeed.pt", &["module"]),
    ] {
        let dict = open(&fixture(name)).unwrap();
        assert_eq!(dict.within, within, "{name}");
        let names: Vec<&str> = dict.tensors.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["a.bias", "a.weight"], "{name}");
    }
    assert_eq!(opened(&fixture("with_metadata.pt")).len(), 2);
}

/// The error of a file, which comes quickly and names the file.
fn refused(path: &Path) -> String {
    let started = std::time::Instant::now();
    let error = open(path).unwrap_err();
    assert!(started.elapsed().as_secs() < 5, "{error}");
    assert!(error.hint().is_some());
    let text = error.to_string();
    assert!(text.starts_with(&path.display().to_string()) && !text.contains('\n'), "{text}");
    text
}

#[test]
fn programs_are_refused_by_name() {
    let text = refused(&fixture("module.pt"));
    assert!(
        text.contains("GLOBAL torch.nn.modules.linear.Linear") && text.contains("nothing of it was executed"),
        "{text}"
    );
    assert!(refused(&fixture("script.pt")).contains("a TorchScript program"));
    assert!(refused(&fixture("no_tensors.pt")).contains("a dict of numbers"));
}

/// An archive of one pickle and one storage of eight bytes.
fn archive(pickle: &[u8]) -> tempfile::NamedTempFile {
    zip_of(&[("a/data.pkl", pickle), ("a/data/0", &[0; 8])])
}

/// A plain zip archive.
fn zip_of(files: &[(&str, &[u8])]) -> tempfile::NamedTempFile {
    let (mut content, mut directory) = (Vec::new(), Vec::new());
    for (name, data) in files {
        let header = content.len() as u32;
        let sizes = [0_u32, data.len() as u32, data.len() as u32].map(u32::to_le_bytes).concat();
        let names = [(name.len() as u16).to_le_bytes(), [0; 2]].concat();
        content.extend([&b"PK\x03\x04"[..], &[0; 10], &sizes, &names, name.as_bytes(), data].concat());
        directory.extend(
            [&b"PK\x01\x02"[..], &[0; 12], &sizes, &names, &[0; 10], &header.to_le_bytes(), name.as_bytes()].concat(),
        );
    }
    let end = [
        &b"PK\x05\x06\0\0\0\0"[..],
        &(files.len() as u16).to_le_bytes(),
        &(files.len() as u16).to_le_bytes(),
        &(directory.len() as u32).to_le_bytes(),
        &(content.len() as u32).to_le_bytes(),
        &[0; 2],
    ];
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(&[content, directory, end.concat()].concat()).unwrap();
    file
}

/// The pickle of a state dict with the tensor `w`, of a storage of so many elements.
fn state(elements: i32, first: i32, shape: &[i32], strides: &[i32]) -> Vec<u8> {
    let number = |number: &i32| [&b"J"[..], &number.to_le_bytes()].concat();
    let tuple = |numbers: &[i32]| [&b"("[..], &numbers.iter().flat_map(number).collect::<Vec<_>>(), b"t"].concat();
    [
        &b"\x80\x02}(X\x01\0\0\0wctorch._utils\n_rebuild_tensor_v2\n((X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\x000X\x03\0\0\0cpu"[..],
        &number(&elements),
        b"tQ",
        &number(&first),
        &tuple(shape),
        &tuple(strides),
        b"\x89}tRu.",
    ]
    .concat()
}

#[test]
fn a_hand_made_state_dict_is_read() {
    let file = archive(&state(2, 0, &[2], &[1]));
    let found = opened(file.path());
    assert_eq!(found["w"].shape, [2]);
    assert_eq!(bytes(file.path(), &found["w"]), [0; 8]);
}

#[test]
fn what_could_run_code_is_refused_by_name() {
    for (pickle, part) in [
        (&b"\x80\x02cos\nsystem\nX\x04\0\0\0true\x85R."[..], "GLOBAL os.system"),
        (b"\x80\x04\x8c\x05posix\x8c\x06system\x93\x8c\x04true\x85R.", "GLOBAL posix.system"),
        (b"\x80\x02c__builtin__\neval\n.", "GLOBAL __builtin__.eval"),
        (b"\x80\x02ctorch._utils\n_rebuild_tensor_v3\n.", "_rebuild_tensor_v3"),
        (b"(S'true'\nios\nsystem\n.", "the opcode STRING"),
        (b"(ios\nsystem\n.", "the opcode INST"),
        (b"\x80\x02}}\x81.", "the opcode NEWOBJ"),
        (b"\x80\x02\x82\x01.", "the opcode EXT1"),
        (b"\x80\x02}}R.", "REDUCE of an object"),
        (b"\x80\x02]}b.", "BUILD of an object"),
        (b"\x80\x02ctorch\nFloatStorage\n)R.", "a call of Storage"),
        (b"\x80\x09N.", "protocol 9"),
        (b"\x80\x02cos\x1b[31m\nsystem\n.", "os\\u{1b}[31m.system"),
    ] {
        let text = refused(archive(pickle).path());
        assert!(text.contains(part), "{part}: {text}");
    }
    let bare = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(bare.path(), b"\x80\x02cos\nsystem\n.").unwrap();
    assert!(refused(bare.path()).contains("a pickle that is not of torch.save"));
}

#[test]
fn sizes_that_the_file_does_not_have_are_refused_without_memory() {
    let most = i32::MAX;
    for (pickle, part) in [
        (state(4, 0, &[4], &[1]), "expected 16 bytes from 0 on of storage 0, found 8 bytes in all"),
        (state(2, 1, &[2], &[1]), "takes elements from 1 on, 2 of them, of a storage of 2"),
        (state(-2, 0, &[2], &[1]), "a size in its pickle is -2"),
        (state(2, -1, &[2], &[1]), "a size in its pickle is -1"),
        (state(2, 0, &[-2], &[1]), "a size in its pickle is -2"),
        (state(2, 0, &[2], &[-1]), "a size in its pickle is -1"),
        (state(2, 0, &[2, 1], &[1]), "2 sizes and 1 strides"),
        (state(most, 0, &[most], &[1]), "larger than the file"),
        (state(1, 0, &[most, most, most], &[0, 0, 0]), "larger than the file"),
        (state(2, 0, &[2, 2], &[most, most]), "of a storage of 2"),
        (state(2, 0, &[1; 65], &[1; 65]), "65 dimensions"),
    ] {
        let text = refused(archive(&pickle).path());
        assert!(text.contains(part), "{part}: {text}");
    }
    // A storage that is not there, one key with two types, and entries that say more than the archive has.
    let text = refused(zip_of(&[("a/data.pkl", &state(2, 0, &[2], &[1]))]).path());
    assert!(text.contains("storage 0 is not in the file"), "{text}");
    assert!(refused(zip_of(&[("a/other", b"")]).path()).contains("no data.pkl"));
    let good = std::fs::read(fixture("zip.pt")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    for keep in [4, 5, 100, good.len() / 2, good.len() - 1] {
        let path = folder.path().join("cut.pt");
        std::fs::write(&path, &good[..keep]).unwrap();
        assert!(refused(&path).contains("not a whole file of PyTorch"), "{keep}");
    }
}

#[test]
fn pickles_that_grow_are_refused() {
    // A text of 4 GB, of which nothing is there.
    let text = refused(archive(b"\x80\x02X\xff\xff\xff\xff.").path());
    assert!(text.contains("a text of 4294967295 bytes"), "{text}");
    let text = refused(archive(b"\x80\x02X\xff\xff\0\0.").path());
    assert!(text.contains("bytes expected where"), "{text}");
    // Lists in lists, which are opened and never closed, and tuples in tuples.
    let text = refused(archive(&[&b"\x80\x02"[..], &[b'('; 100_000], b"."].concat()).path());
    assert!(text.contains("nested deeper"), "{text}");
    let deep = [&b"\x80\x02N"[..], &[0x85; 1_000_000], b"."].concat();
    assert!(refused(archive(&deep).path()).contains("no dict"));
    // Each is a pair of the one before, twice: 2 to the power of 100,000 leaves.
    let pairs: Vec<u8> = (0..100_000_u32)
        .flat_map(|at| {
            [&[b'j'][..], &at.to_le_bytes(), b"j", &at.to_le_bytes(), b"\x86r", &(at + 1).to_le_bytes()].concat()
        })
        .collect();
    let bomb = [&b"\x80\x02Nr\0\0\0\0"[..], &pairs, b"."].concat();
    assert!(refused(archive(&bomb).path()).contains("no dict"));
    // One list, made into a dict again and again.
    let list = [&b"\x80\x02]("[..], &b"N)\x86".repeat(100_000), b"eq\0ccollections\nOrderedDict\nq\x01"].concat();
    let again = [list, b"h\x01h\0\x85R".repeat(10_000), b".".to_vec()].concat();
    assert!(refused(archive(&again).path()).contains("copies more than"));
    // A memo with the largest place takes no more than the smallest.
    assert!(refused(archive(b"\x80\x02Nr\xff\xff\xff\xff.").path()).contains("no dict"));
    let more = [&b"\x80\x02"[..], &[b'N'; 4_100_000], b"."].concat();
    assert!(refused(archive(&more).path()).contains("more than 4000000 opcodes"));
}

#[test]
fn a_stack_that_is_not_there_is_an_error() {
    for pickle in [
        &b"."[..],
        b"\x85.",
        b"t.",
        b"(\x85.",
        b"u.",
        b"}u.",
        b"}(Nu.",
        b"Na.",
        b"]Nu.",
        b"s.",
        b"R.",
        b"Q.",
        b"NQ.",
        b")Q.",
        b"q\0.",
        b"h\x05.",
        b"\x93.",
        b"NN\x93.",
        b"b.",
        b"N",
        b"",
        b"\x80",
        b"X\x01",
        b"ca",
        b"ca\n",
        b"\x8a\xff",
        b"G\0",
        b"\x95\0",
        b"(N.",
        b"ctorch\nSize\nN\x85",
        b"(X\x07\0\0\0storageNNNNtQ.",
        b"ctorch._utils\n_rebuild_tensor\n(NNNNtR.",
        b"ccollections\nOrderedDict\n](N)ea\x85R.",
    ] {
        refused(archive(pickle).path());
    }
}

/// The next number of a generator that is the same everywhere.
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    *state >> 33
}

/// Opens what may be damaged, and reads what it claims to hold.
fn survives(path: &Path) -> bool {
    let Ok(dict) = open(path) else { return false };
    let length = std::fs::metadata(path).unwrap().len();
    for (_, tensor) in dict.tensors {
        let values: usize = tensor.shape.iter().product();
        assert!(values as u64 <= length.max(1 << 20));
        let mut content = Vec::new();
        if let Ok(reader) = tensor.place.reader(File::open(path).unwrap()) {
            let _ = reader.take(1 << 20).read_to_end(&mut content);
        }
    }
    true
}

/// No byte of a file, nor any number of them, makes the reader fail otherwise than with an error.
#[test]
fn changed_bytes_make_errors_and_no_panics() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("changed.pt");
    let mut random = 11;
    for name in ["zip.pt", "legacy.pt", "deflated.pt", "zip64.pt", "protocol4.pt", "lightning.ckpt"] {
        let good = std::fs::read(fixture(name)).unwrap();
        let mut read = 0;
        for round in 0..334 {
            let mut bad = good.clone();
            for _ in 0..1 + round % 4 {
                let at = next(&mut random) as usize % bad.len();
                bad[at] = match next(&mut random) % 4 {
                    0 => 0xff,
                    1 => 0,
                    2 => bad[at] ^ (1 << (next(&mut random) % 8)),
                    _ => next(&mut random) as u8,
                };
            }
            if round % 10 == 9 {
                bad.truncate(next(&mut random) as usize % bad.len());
            }
            std::fs::write(&path, &bad).unwrap();
            read += usize::from(survives(&path));
        }
        assert!(read < 334, "{name}: some change is noticed");
    }
}

/// The machine itself, on opcodes in any order.
#[test]
fn opcodes_in_any_order_make_errors_and_no_panics() {
    let opcodes = b"}()]tuseaQRbqhrjNJKMGXUc.\x80\x85\x86\x87\x88\x89\x8a\x8c\x93\x94\x95";
    let names = [
        &b"torch\nFloatStorage\n"[..],
        b"torch._utils\n_rebuild_tensor_v2\n",
        b"collections\nOrderedDict\n",
        b"torch\nSize\n",
    ];
    let mut random = 5;
    for _ in 0..20_000 {
        let mut pickle = Vec::new();
        for _ in 0..next(&mut random) % 40 {
            let opcode = opcodes[next(&mut random) as usize % opcodes.len()];
            pickle.push(opcode);
            match opcode {
                b'c' => pickle.extend(names[next(&mut random) as usize % names.len()]),
                b'q' | b'h' | b'K' => pickle.push(next(&mut random) as u8 % 8),
                b'U' | 0x8c => pickle.extend(b"\x07storage"),
                _ => {}
            }
        }
        let _ = pickle::run(&mut Source::new(pickle.as_slice(), pickle.len() as u64));
    }
}
