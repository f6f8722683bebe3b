//! The file of the store: made whole, opened with suspicion, its errors in our words.

use std::cell::Cell;
use std::fs::{self, File};
use std::io;
use std::panic::{self, AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Once;
use std::thread;

use pontoon_core::engine::store::{Batch, StoreError};
use redb::backends::{FileBackend, InMemoryBackend};
use redb::{Builder, Database, ReadableDatabase, StorageBackend, TableDefinition, TableError};

use super::lock::open_private;

/// Keys and values, in key order.
pub(super) type Records = Vec<(String, Vec<u8>)>;

/// The records: key → value.
pub(super) const RECORDS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("records");
/// What the file is: [`VERSION_KEY`] → version.
const FORMAT: TableDefinition<'_, &str, u64> = TableDefinition::new("format");
/// The key of the version in the table "format".
const VERSION_KEY: &str = "version";
/// The version of what this program writes.
const VERSION: u64 = 1;
/// Pages that redb may keep in memory, in bytes; the records of a busy host are a few MiB.
const CACHE: usize = 16 << 20;

/// Makes the directory of the store and those above it, unless they are there.
pub(super) fn create_directory(root: &Path) -> Result<(), StoreError> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(root).map_err(|source| io_error(root, "create", source))
}

/// Returns whether there is no file yet, or an empty one.
pub(super) fn is_new(path: &Path) -> Result<bool, StoreError> {
    match fs::metadata(path) {
        Ok(file) => Ok(file.is_file() && file.len() == 0),
        Err(source) if source.kind() == io::ErrorKind::NotFound => Ok(true),
        Err(source) => Err(io_error(path, "open", source)),
    }
}

/// Makes a complete empty file under another name and moves it into place: a crash here leaves nothing half-written.
pub(super) fn create(root: &Path, path: &Path) -> Result<(), StoreError> {
    let draft = path.with_extension("redb.new");
    match fs::remove_file(&draft) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            return Err(io_error(&draft, "create", source));
        }
        _ => {}
    }
    let file = open_private(&draft).map_err(|source| io_error(&draft, "create", source))?;
    write_format(file, VERSION).map_err(|error| database_error(&draft, "create", error))?;
    fs::rename(&draft, path).and_then(|()| flush_directory(root)).map_err(|source| io_error(path, "create", source))
}

fn write_format(file: File, version: u64) -> Result<(), redb::Error> {
    let database = Database::builder().create_with_backend(FileBackend::new(file)?)?;
    let transaction = database.begin_write()?;
    transaction.open_table(RECORDS)?;
    transaction.open_table(FORMAT)?.insert(VERSION_KEY, version)?;
    transaction.commit()?;
    Ok(database.close()?)
}

/// Makes a new name durable.
fn flush_directory(root: &Path) -> io::Result<()> {
    if cfg!(unix) {
        File::open(root)?.sync_all()?;
    }
    Ok(())
}

/// Opens a file that exists, if it is a store of a format that this program reads.
pub(super) fn open(path: &Path) -> Result<Database, StoreError> {
    examine(path, |builder| Ok(builder.open(path)?))
}

/// Returns all records of a file that exists, of the same kind, and leaves it alone whatever state it is in.
pub(super) fn read_copy(path: &Path) -> Result<Records, StoreError> {
    let bytes = fs::read(path).map_err(|source| io_error(path, "open", source))?;
    let database = examine(path, |builder| {
        let copy = InMemoryBackend::new();
        copy.set_len(bytes.len() as u64)?;
        copy.write(0, &bytes)?;
        Ok(builder.create_with_backend(copy)?)
    })?;
    guard(|| scan(&database, "")).map_err(|error| database_error(path, "read", error))
}

/// Returns the records whose keys start with `prefix`, in key order.
pub(super) fn scan(database: &Database, prefix: &str) -> Result<Records, redb::Error> {
    let records = database.begin_read()?.open_table(RECORDS)?;
    let mut found = Vec::new();
    for record in records.range(prefix..)? {
        let (key, value) = record?;
        if !key.value().starts_with(prefix) {
            break;
        }
        found.push((key.value().to_owned(), value.value().to_vec()));
    }
    Ok(found)
}

fn examine(path: &Path, open: impl FnOnce(&Builder) -> Result<Database, redb::Error>) -> Result<Database, StoreError> {
    let mut builder = Database::builder();
    builder.set_cache_size(CACHE);
    let opened = guard(|| {
        let database = open(&builder)?;
        let version = read_version(&database)?;
        Ok((database, version))
    });
    let (database, version) = opened.map_err(|error| database_error(path, "open", error))?;
    match version {
        Some(VERSION) => Ok(database),
        Some(newer) if newer > VERSION => Err(StoreError::Damaged {
            path: path.display().to_string(),
            reason: format!(
                "it has format {newer} and this program reads format {VERSION}; use the newer program, or export with it and \
                 import here"
            ),
        }),
        Some(other) => Err(damaged(path, &format!("it has the unknown format {other}"))),
        None => Err(damaged(path, "it is a database, but not one of pontoon's")),
    }
}

/// Turns a panic of redb into an error, without a word on standard error.
///
/// redb trusts the pages of a file that was closed properly, and may panic on one that was altered since.
pub(super) fn guard<T>(work: impl FnOnce() -> Result<T, redb::Error>) -> Result<T, redb::Error> {
    hush_guarded();
    let outer = GUARDED.replace(true);
    let done = catch_unwind(AssertUnwindSafe(work));
    GUARDED.set(outer);
    done.unwrap_or_else(|_| {
        let reason = "its pages contradict each other".to_owned();
        Err(redb::Error::Corrupted(reason))
    })
}

thread_local! {
    /// Whether a panic of this thread becomes an error.
    static GUARDED: Cell<bool> = const { Cell::new(false) };
}

/// Has panics told by whoever tells them now, except for those of threads that are guarded.
fn hush_guarded() {
    static INSTALLED: Once = Once::new();
    // A thread that panics may not change the hook; the next one does.
    if !thread::panicking() {
        INSTALLED.call_once(|| {
            let tell = panic::take_hook();
            panic::set_hook(Box::new(move |info| {
                if !GUARDED.get() {
                    tell(info);
                }
            }));
        });
    }
}

fn read_version(database: &Database) -> Result<Option<u64>, redb::Error> {
    let transaction = database.begin_read()?;
    let format = match transaction.open_table(FORMAT) {
        Err(TableError::TableDoesNotExist(_)) => return Ok(None),
        format => format?,
    };
    transaction.open_table(RECORDS)?;
    let version = format.get(VERSION_KEY)?;
    Ok(version.map(|version| version.value()))
}

/// Fails if less than `needed` bytes are free where `path` is.
#[cfg(unix)]
pub(super) fn ensure_space(path: &Path, action: &'static str, needed: u64) -> Result<(), StoreError> {
    let directory = path.parent().unwrap_or(path);
    let filesystem = rustix::fs::statvfs(directory).map_err(|errno| io_error(path, action, io::Error::from(errno)))?;
    let free = filesystem.f_bavail.saturating_mul(filesystem.f_frsize);
    // Some network and user-space filesystems report no size at all.
    if filesystem.f_blocks == 0 || free >= needed {
        return Ok(());
    }
    let reason = format!(
        "no space left: {} MiB are free and {} MiB are needed; free some space on the filesystem of {}",
        free >> 20,
        needed.div_ceil(1 << 20),
        directory.display()
    );
    let source = io::Error::new(io::ErrorKind::StorageFull, reason);
    Err(io_error(path, action, source))
}

/// Lets every commit pass: this system has no portable question for free space.
#[cfg(not(unix))]
pub(super) fn ensure_space(_path: &Path, _action: &'static str, _needed: u64) -> Result<(), StoreError> {
    Ok(())
}

fn deferred(path: &Path) -> PathBuf {
    path.with_file_name("deferred.json")
}

/// Returns what an earlier process could not commit.
pub(super) fn read_deferred(path: &Path) -> Result<Option<Batch>, StoreError> {
    let file = deferred(path);
    match fs::read(&file) {
        Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(|error| StoreError::Damaged {
            path: file.display().to_string(),
            reason: format!("{error}; if `pontoon doctor` is content without it, remove it"),
        }),
        Err(source) if source.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(io_error(&file, "open", source)),
    }
}

/// Writes a batch beside the store, durably, or removes it if it is empty.
pub(super) fn write_deferred(path: &Path, batch: &Batch) -> Result<(), StoreError> {
    let file = deferred(path);
    let failed = |source| io_error(&file, "keep what could not be committed", source);
    if batch.is_empty() {
        return match fs::remove_file(&file) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => Err(failed(source)),
            _ => Ok(()),
        };
    }
    let draft = file.with_extension("json.new");
    let bytes = serde_json::to_vec(batch).map_err(|error| failed(error.into()))?;
    fs::write(&draft, bytes).map_err(failed)?;
    // Whether or not the disk takes it now: a crash of this process alone leaves it to the system.
    let flushed = File::open(&draft).and_then(|file| file.sync_all());
    fs::rename(&draft, &file).map_err(failed)?;
    flushed.map_err(failed)
}

/// Says in terms of the store why redb failed to do `action`.
pub(super) fn database_error(path: &Path, action: &'static str, error: redb::Error) -> StoreError {
    use io::ErrorKind::{InvalidData, UnexpectedEof};
    match error {
        redb::Error::DatabaseAlreadyOpen | redb::Error::LockProtocolMismatch => StoreError::Held {
            path: path.display().to_string(),
            holder: "another process, which did not take our lock".to_owned(),
        },
        redb::Error::Io(source) if !matches!(source.kind(), InvalidData | UnexpectedEof) => {
            io_error(path, action, source)
        }
        redb::Error::Io(_)
        | redb::Error::Corrupted(_)
        | redb::Error::UpgradeRequired(_)
        | redb::Error::RepairAborted
        | redb::Error::TableTypeMismatch { .. }
        | redb::Error::TableIsMultimap(_)
        | redb::Error::TableDoesNotExist(_)
        | redb::Error::TypeDefinitionChanged { .. } => damaged(path, &error.to_string()),
        other => StoreError::Io { path: path.display().to_string(), action, source: Box::new(other) },
    }
}

pub(super) fn io_error(path: &Path, action: &'static str, source: io::Error) -> StoreError {
    StoreError::Io { path: path.display().to_string(), action, source: Box::new(source) }
}

fn damaged(path: &Path, reason: &str) -> StoreError {
    StoreError::Damaged {
        path: path.display().to_string(),
        reason: format!("{reason}; move the file away to start empty, then import an export if there is one"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_newer_format_is_refused_and_left_alone() {
        let root = tempfile::tempdir().expect("a directory");
        let path = root.path().join("pontoon.redb");
        let file = open_private(&path).expect("a file");
        write_format(file, VERSION + 1).expect("a store of tomorrow");
        let error = open(&path).expect_err("too new");
        assert!(matches!(error, StoreError::Damaged { .. }), "{error:?}");
        let text = error.to_string();
        assert!(text.contains("format 2") && text.contains("newer program"), "{text}");
        let database = Database::open(&path).expect("still whole");
        assert_eq!(read_version(&database).expect("readable"), Some(VERSION + 1));
    }
}
