//! Records on disk: one key a record, its value as JSON.
//!
//! ```text
//! network/<id>  endpoint/<id>  sandbox/<id>  debt/<object key>  ledger/<object key>
//! meta/generation  meta/run-dir  meta/mounts
//! ```

use std::sync::Arc;

use serde::Serialize;

use super::state::{Record, RecordKey, State};
use super::store::{Batch, Store, StoreError};

/// The key under which the store remembers which boot and namespace its kernel half belongs to.
pub(super) const GENERATION: &str = "meta/generation";
/// The key under which it remembers the run directory, where the sandboxes' namespaces are kept.
pub(super) const RUN_DIR: &str = "meta/run-dir";
/// The key under which it remembers the mount namespace that the sandboxes' namespaces are mounted in.
pub(super) const MOUNTS: &str = "meta/mounts";

/// A record that could not be read; it is left in the store, out of the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quarantined {
    /// Its key.
    pub key: String,
    /// What is wrong with it.
    pub reason: String,
}

/// Returns the key of a record in the store.
pub(super) fn key(key: &RecordKey) -> String {
    match key {
        RecordKey::Network(id) => format!("network/{id}"),
        RecordKey::Endpoint(id) => format!("endpoint/{id}"),
        RecordKey::Sandbox(id) => format!("sandbox/{id}"),
        RecordKey::Debt(text) => format!("debt/{text}"),
        RecordKey::Ledger(text) => format!("ledger/{text}"),
    }
}

fn bytes(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("records are plain data with text keys")
}

/// Adds a record's new value to a batch. Records of networks that do not persist are left out.
pub(super) fn write(batch: &mut Batch, state: &State, record_key: &RecordKey, record: Option<&Record>) {
    let persists = |network| state.network(network).is_none_or(|network| network.spec.persist);
    match record {
        Some(Record::Network(r)) if r.spec.persist => batch.put(key(record_key), bytes(&**r)),
        Some(Record::Endpoint(r)) if persists(r.network) => batch.put(key(record_key), bytes(&**r)),
        Some(Record::Network(_) | Record::Endpoint(_)) => {}
        Some(Record::Sandbox(r)) => batch.put(key(record_key), bytes(&**r)),
        Some(Record::Debt(r)) => batch.put(key(record_key), bytes(&**r)),
        Some(Record::Ledger(r)) => batch.put(key(record_key), bytes(&**r)),
        None => batch.remove(key(record_key)),
    }
}

/// Reads all records. Those that cannot be read, and endpoints whose network is not there, are named and left out.
pub(super) fn load(store: &dyn Store) -> Result<(State, Vec<Quarantined>), StoreError> {
    let mut state = State::default();
    let mut quarantined = Vec::new();
    for prefix in ["network/", "sandbox/", "endpoint/", "debt/", "ledger/"] {
        for (key, value) in store.scan(prefix)? {
            match read(prefix, &key, &value) {
                Ok((_, Record::Endpoint(endpoint))) if state.network(endpoint.network).is_none() => {
                    quarantined
                        .push(Quarantined { key, reason: format!("its network {} is not there", endpoint.network) });
                }
                Ok((key, record)) => state.set(&key, Some(record)),
                Err(reason) => quarantined.push(Quarantined { key, reason }),
            }
        }
    }
    Ok((state, quarantined))
}

fn read(prefix: &str, key: &str, value: &[u8]) -> Result<(RecordKey, Record), String> {
    fn parse<T: serde::de::DeserializeOwned>(value: &[u8]) -> Result<Arc<T>, String> {
        serde_json::from_slice(value).map(Arc::new).map_err(|error| error.to_string())
    }
    let id = &key[prefix.len()..];
    let bad_id = |error: crate::model::IdError| error.to_string();
    Ok(match prefix {
        "network/" => (RecordKey::Network(id.parse().map_err(bad_id)?), Record::Network(parse(value)?)),
        "endpoint/" => (RecordKey::Endpoint(id.parse().map_err(bad_id)?), Record::Endpoint(parse(value)?)),
        "sandbox/" => (RecordKey::Sandbox(id.parse().map_err(bad_id)?), Record::Sandbox(parse(value)?)),
        "debt/" => (RecordKey::Debt(id.to_owned()), Record::Debt(parse(value)?)),
        _ => (RecordKey::Ledger(id.to_owned()), Record::Ledger(parse(value)?)),
    })
}
