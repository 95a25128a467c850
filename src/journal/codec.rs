//! The bytes of a journal row: a version byte and the turn's inputs in postcard, with catalogs by reference.
//!
//! postcard is not self-describing: any change to a type under [`Input`] changes the layout, so it needs a new
//! [`FORMAT`] and a reader for the old one (or a start from a checkpoint). A test holds the layout.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use stentor_core::catalog::Catalog;
use stentor_core::engine::Input;

/// Layout of a batch and of a catalog body. Format 1 knew neither Nagios objects nor flexible downtimes, format 2 not how
/// long a check took, format 3 neither redundancy groups, recurring downtimes nor files of performance data, format 4 no runs of runbooks;
/// they were never released, and are refused by name.
pub const FORMAT: u8 = 5;
/// A turn is at most 1,024 inputs of some 16 KiB kept text; far above that something is broken.
pub const BATCH_BYTES_MAX: usize = 256 * 1024 * 1024;

/// SHA-256 of a catalog body.
pub type CatalogHash = [u8; 32];

/// What is wrong with bytes that should be a batch.
#[derive(Debug, thiserror::Error)]
pub enum CodecError {
    #[error("the row is empty")]
    Empty,
    #[error("format {0} is unknown to this program, which writes format {FORMAT}")]
    Format(u8),
    #[error("{0} bytes follow the last input")]
    Trailing(usize),
    #[error("the bytes are no batch")]
    Postcard(#[source] postcard::Error),
    #[error("catalog {0} is not in the journal")]
    NoCatalog(String),
}

#[derive(Serialize)]
enum StoredRef<'a> {
    Catalog(CatalogHash),
    Other(&'a Input),
}

#[derive(Deserialize)]
enum Stored {
    Catalog(CatalogHash),
    Other(Input),
}

/// A batch and the catalogs it refers to, by hash.
#[derive(Debug)]
pub struct Encoded {
    pub batch: Vec<u8>,
    pub catalogs: BTreeMap<CatalogHash, Vec<u8>>,
}

/// Encodes the inputs of one turn.
///
/// # Errors
/// An input has a shape that postcard cannot write (a bug that a test would show).
pub fn encode(inputs: &[Input]) -> Result<Encoded, CodecError> {
    let mut catalogs = BTreeMap::new();
    let mut stored = Vec::with_capacity(inputs.len());
    for input in inputs {
        match input {
            Input::Catalog(catalog) => {
                let body = encode_catalog(catalog)?;
                let hash = hash_of(&body);
                catalogs.insert(hash, body);
                stored.push(StoredRef::Catalog(hash));
            }
            other => stored.push(StoredRef::Other(other)),
        }
    }
    let batch = postcard::to_extend(&stored, vec![FORMAT]).map_err(CodecError::Postcard)?;
    Ok(Encoded { batch, catalogs })
}

/// Reads a batch back; `catalog` finds a catalog by its hash.
///
/// # Errors
/// The bytes are not a whole batch of a known format, or a catalog is not found.
pub fn decode(bytes: &[u8], catalogs: &BTreeMap<CatalogHash, Arc<Catalog>>) -> Result<Vec<Input>, CodecError> {
    stored(bytes)?
        .into_iter()
        .map(|stored| match stored {
            Stored::Other(input) => Ok(input),
            Stored::Catalog(hash) => catalogs
                .get(&hash)
                .map(|catalog| Input::Catalog(Arc::clone(catalog)))
                .ok_or_else(|| CodecError::NoCatalog(hex(&hash))),
        })
        .collect()
}

/// Hashes of the catalogs that a batch refers to.
///
/// # Errors
/// As [`decode`].
pub fn catalogs_of(bytes: &[u8]) -> Result<Vec<CatalogHash>, CodecError> {
    let hashes = stored(bytes)?.into_iter().filter_map(|stored| match stored {
        Stored::Catalog(hash) => Some(hash),
        Stored::Other(_) => None,
    });
    Ok(hashes.collect())
}

fn stored(bytes: &[u8]) -> Result<Vec<Stored>, CodecError> {
    whole(bytes)
}

fn whole<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> Result<T, CodecError> {
    let (&format, body) = bytes.split_first().ok_or(CodecError::Empty)?;
    if format != FORMAT {
        return Err(CodecError::Format(format));
    }
    let (value, rest) = postcard::take_from_bytes(body).map_err(CodecError::Postcard)?;
    if !rest.is_empty() {
        return Err(CodecError::Trailing(rest.len()));
    }
    Ok(value)
}

/// The body under which a catalog is kept. Equal catalogs have equal bytes: all maps in it are ordered.
///
/// # Errors
/// As [`encode`].
pub fn encode_catalog(catalog: &Catalog) -> Result<Vec<u8>, CodecError> {
    postcard::to_extend(catalog, vec![FORMAT]).map_err(CodecError::Postcard)
}

/// Reads a catalog body and rebuilds its lookups. Check its hash first: ids inside are trusted.
///
/// # Errors
/// The bytes are no catalog.
pub fn decode_catalog(bytes: &[u8]) -> Result<Catalog, CodecError> {
    let mut catalog: Catalog = whole(bytes)?;
    catalog.reindex();
    Ok(catalog)
}

pub fn hash_of(body: &[u8]) -> CatalogHash {
    Sha256::digest(body).into()
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
