//! Compressed files, and archives with one file in them.

use std::io::{self, BufRead, Cursor, Read};
use std::path::{Path, PathBuf};

use bzip2::bufread::MultiBzDecoder;
use flate2::bufread::MultiGzDecoder;

use crate::error::DataError;

/// How a file is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Packing {
    Gzip,
    Zstandard,
    Bzip2,
    /// An archive. What has one file in it, is as good as compressed.
    Zip,
    /// Packed in a way that is not read here.
    Other(&'static str),
}

impl Packing {
    /// What the first bytes of a file say; no text begins with them.
    pub(crate) fn of(head: &[u8]) -> Option<Packing> {
        const OTHERS: [(&[u8], &str); 3] =
            [(b"\xfd7zXZ\0", "xz"), (b"7z\xbc\xaf\x27\x1c", "7-Zip"), (b"Rar!\x1a\x07", "RAR")];
        let is_bzip2 = head.starts_with(b"BZh") && head.get(4..10) == Some(b"\x31\x41\x59\x26\x53\x59");
        match head {
            [0x1f, 0x8b, ..] => Some(Packing::Gzip),
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Some(Packing::Zstandard),
            _ if is_bzip2 => Some(Packing::Bzip2),
            [b'P', b'K', 3, 4, ..] | [b'P', b'K', 5, 6, ..] => Some(Packing::Zip),
            _ => OTHERS.iter().find(|(magic, _)| head.starts_with(magic)).map(|&(_, name)| Packing::Other(name)),
        }
    }

    /// The name of it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Packing::Gzip => "gzip",
            Packing::Zstandard => "zstd",
            Packing::Bzip2 => "bzip2",
            Packing::Zip => "zip",
            Packing::Other(name) => name,
        }
    }

    /// What `packed` holds, as it is read; none for an archive.
    pub(crate) fn stream<'a>(self, packed: Box<dyn BufRead + 'a>) -> io::Result<Option<Box<dyn Read + 'a>>> {
        Ok(match self {
            Packing::Gzip => Some(Box::new(MultiGzDecoder::new(packed))),
            Packing::Zstandard => Some(Box::new(zstd::stream::read::Decoder::with_buffer(packed)?)),
            Packing::Bzip2 => Some(Box::new(MultiBzDecoder::new(packed))),
            Packing::Zip | Packing::Other(_) => None,
        })
    }

    /// As [`Packing::stream`], for another thread; what is packed stays as it is where it is an archive.
    pub(crate) fn send_stream(self, packed: Box<dyn BufRead + Send>) -> io::Result<Box<dyn Read + Send>> {
        Ok(match self {
            Packing::Gzip => Box::new(MultiGzDecoder::new(packed)),
            Packing::Zstandard => Box::new(zstd::stream::read::Decoder::with_buffer(packed)?),
            Packing::Bzip2 => Box::new(MultiBzDecoder::new(packed)),
            Packing::Zip | Packing::Other(_) => packed,
        })
    }

    /// What `bytes` hold, and the name of it, if that of the packed file is `name`.
    pub(super) fn unpack(self, path: &Path, name: &Path, bytes: Vec<u8>) -> Result<(Vec<u8>, PathBuf), DataError> {
        let broken = |source| DataError::BrokenCompression { path: path.into(), compression: self.name(), source };
        if self == Packing::Zip {
            return member(path, bytes);
        }
        let mut unpacked = Vec::new();
        match self.stream(Box::new(Cursor::new(bytes))).map_err(broken)? {
            Some(mut stream) => stream.read_to_end(&mut unpacked).map_err(broken)?,
            None => return Err(DataError::UnknownPacking { path: path.into(), packing: self.name() }),
        };
        Ok((unpacked, unpacked_name(name)))
    }
}

/// The name of a file without the ending of its compression.
pub(super) fn unpacked_name(name: &Path) -> PathBuf {
    let ending = name.extension().map(|ending| ending.to_string_lossy().to_lowercase());
    match ending.as_deref() {
        Some("gz" | "zst" | "bz2") => name.with_extension(""),
        _ => name.to_owned(),
    }
}

/// The only file in an archive. Folders, and what macOS adds, do not count.
fn member(path: &Path, bytes: Vec<u8>) -> Result<(Vec<u8>, PathBuf), DataError> {
    let broken = |error: zip::result::ZipError| DataError::BrokenCompression {
        path: path.into(),
        compression: "zip",
        source: io::Error::other(error),
    };
    let mut archive = zip::ZipArchive::new(Cursor::new(bytes)).map_err(broken)?;
    let names: Vec<String> = archive
        .file_names()
        .filter_map(|name| name.ok().map(std::borrow::Cow::into_owned))
        .filter(|name| !name.ends_with('/') && !name.starts_with("__MACOSX/"))
        .collect();
    let [name] = &names[..] else {
        return Err(DataError::SeveralMembers { path: path.into(), members: names });
    };
    let mut file = archive.by_name(name).map_err(broken)?;
    let mut unpacked = Vec::new();
    file.read_to_end(&mut unpacked).map_err(|source| DataError::BrokenCompression {
        path: path.into(),
        compression: "zip",
        source,
    })?;
    Ok((unpacked, PathBuf::from(name)))
}
