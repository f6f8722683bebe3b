//! The whole content as one JSON document: key → value.
//!
//! A value that is JSON stands as such; any other is a string `"hex:<digits>"`. JSON that a round trip through a parser
//! would change in more than spacing and the order of keys (huge numbers, repeated keys, a string that itself starts with
//! `hex:`) is written as hex too, so that what is imported means what was exported.

use std::collections::{BTreeMap, BTreeSet};

use pontoon_core::engine::store::{Batch, Store, StoreError};
use serde_json::Value;

/// Marks a string that stands for bytes.
const HEX: &str = "hex:";

/// Returns the content of `store` as one JSON document.
pub fn export(store: &dyn Store) -> Result<String, StoreError> {
    let records = store.scan("")?;
    let document: BTreeMap<&str, Value> = records.iter().map(|(key, bytes)| (key.as_str(), encode(bytes))).collect();
    serde_json::to_string_pretty(&document).map_err(|source| StoreError::Io {
        path: "being exported".to_owned(),
        action: "export",
        source: Box::new(source),
    })
}

/// Makes the content of `store` that of `document`, in one commit, and returns the number of its records.
///
/// Records that the document does not name are removed. Nothing is changed if the document is malformed.
pub fn import(store: &dyn Store, document: &str) -> Result<usize, ImportError> {
    let document: BTreeMap<String, Value> = serde_json::from_str(document)?;
    let present: BTreeSet<String> = store.scan("")?.into_iter().map(|(key, _)| key).collect();
    let mut batch = Batch::default();
    for key in present.iter().filter(|key| !document.contains_key(*key)) {
        batch.remove(key.as_str());
    }
    for (key, value) in &document {
        batch.put(key.as_str(), decode(key, value)?);
    }
    store.commit(&batch)?;
    Ok(document.len())
}

/// Why a document could not be imported.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// The document is not a JSON object.
    #[error("the document is not one JSON object of keys and values; import what an export wrote")]
    Malformed(#[from] serde_json::Error),
    /// A value is marked as bytes and is not hexadecimal.
    #[error("the value of {key} starts with hex: but is not pairs of hexadecimal digits")]
    BadHex {
        /// The record's key.
        key: String,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

fn encode(bytes: &[u8]) -> Value {
    match serde_json::from_slice::<Value>(bytes) {
        Ok(value) if is_faithful(&value, bytes) => value,
        _ => Value::String(format!("{HEX}{}", to_hex(bytes))),
    }
}

/// Returns whether `value`, printed, has the very characters of `bytes` up to order and spacing.
fn is_faithful(value: &Value, bytes: &[u8]) -> bool {
    let marked = value.as_str().is_some_and(|text| text.starts_with(HEX));
    !marked && characters(value.to_string().as_bytes()) == characters(bytes)
}

fn characters(bytes: &[u8]) -> Vec<u8> {
    let mut characters: Vec<u8> = bytes.to_vec();
    characters.retain(|byte| !byte.is_ascii_whitespace());
    characters.sort_unstable();
    characters
}

fn decode(key: &str, value: &Value) -> Result<Vec<u8>, ImportError> {
    let Some(digits) = value.as_str().and_then(|text| text.strip_prefix(HEX)) else {
        return Ok(value.to_string().into_bytes());
    };
    from_hex(digits).ok_or_else(|| ImportError::BadHex { key: key.to_owned() })
}

fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn from_hex(digits: &str) -> Option<Vec<u8>> {
    let digits = digits.as_bytes();
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let pairs = digits.chunks_exact(2);
    if !pairs.remainder().is_empty() {
        return None;
    }
    pairs.map(|pair| u8::try_from(digit(pair[0])? * 16 + digit(pair[1])?).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(bytes: &[u8], exported: &str, imported: &[u8]) {
        let value = encode(bytes);
        assert_eq!(value.to_string(), exported);
        assert_eq!(decode("key", &value).expect("own output"), imported);
    }

    #[test]
    fn values_keep_their_meaning() {
        check(b"{\"b\":1,\"a\":[null]}", r#"{"a":[null],"b":1}"#, b"{\"a\":[null],\"b\":1}");
        check(b"{ \"a\" : 1 }", r#"{"a":1}"#, b"{\"a\":1}");
        check(b"\"text\"", r#""text""#, b"\"text\"");
        check(b"", r#""hex:""#, b"");
        check(b"\x00\xff{", r#""hex:00ff7b""#, b"\x00\xff{");
        check(b"\"hex:00\"", r#""hex:226865783a303022""#, b"\"hex:00\"");
        check(b"{\"a\":1,\"a\":2}", r#""hex:7b2261223a312c2261223a327d""#, b"{\"a\":1,\"a\":2}");
        let huge = b"340282366920938463463374607431768211456";
        check(huge, &format!("\"hex:{}\"", to_hex(huge)), huge);
    }

    #[test]
    fn bad_hex_names_its_key() {
        for text in ["hex:0", "hex:0g", "hex:é"] {
            let error = decode("network/1", &Value::from(text)).expect_err("not hex");
            assert!(error.to_string().contains("network/1"), "{error}");
        }
    }
}
