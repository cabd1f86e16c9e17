//! The embedded store of the views: what [`World`] holds, as of one position, so that a start need not read the whole journal.
//! The only place that names SQLite. It decides nothing, and nothing is lost with it: a store that cannot be read is set aside and
//! folded again.

mod load;
pub(crate) mod sums;
mod write;

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, ErrorCode};

use super::world::{Rows, World};

/// What the file says of itself (`PRAGMA application_id`): "batn".
const APPLICATION: i32 = i32::from_be_bytes(*b"batn");
/// The schema that this build writes and reads (`PRAGMA user_version`).
const VERSION: i32 = 1 + MIGRATIONS.len() as i32;
/// A write-ahead log larger than this is cut back to it.
const LOG_BYTES_MAX: i64 = 64 << 20;

const SCHEMA: &str = "
    CREATE TABLE position (one INTEGER PRIMARY KEY CHECK (one = 1), next INTEGER NOT NULL) STRICT;
    CREATE TABLE channel (id INTEGER PRIMARY KEY, name TEXT NOT NULL, next INTEGER NOT NULL) STRICT;
    CREATE TABLE processor (
        id INTEGER PRIMARY KEY, name TEXT NOT NULL, deployed INTEGER NOT NULL, held TEXT NOT NULL) STRICT;
    CREATE TABLE subscription (
        id INTEGER PRIMARY KEY, processor INTEGER NOT NULL, channel INTEGER NOT NULL, start INTEGER NOT NULL,
        cursor INTEGER NOT NULL, ahead BLOB NOT NULL, forgotten INTEGER NOT NULL) STRICT;
    CREATE TABLE deployment (place INTEGER PRIMARY KEY, receipt TEXT NOT NULL) STRICT;
    CREATE TABLE state (
        processor INTEGER NOT NULL, key TEXT NOT NULL, name TEXT NOT NULL, expires_ms INTEGER NOT NULL,
        value BLOB NOT NULL, PRIMARY KEY (processor, key, name)) STRICT, WITHOUT ROWID;";

/// What makes a store of version 1 one of version 2, and so on. A line stays as it is once it was released.
const MIGRATIONS: &[&str] = &[
    "
    ALTER TABLE subscription ADD COLUMN filtered INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE subscription ADD COLUMN replays INTEGER NOT NULL DEFAULT 0",
    "
    ALTER TABLE channel ADD COLUMN first INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE channel ADD COLUMN expired_until_ms INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE subscription ADD COLUMN expired INTEGER NOT NULL DEFAULT 0",
    "
    ALTER TABLE subscription ADD COLUMN acked INTEGER NOT NULL DEFAULT -1;
    ALTER TABLE subscription ADD COLUMN discarded INTEGER NOT NULL DEFAULT 0;
    CREATE TABLE dead (
        subscription INTEGER NOT NULL, offset INTEGER NOT NULL, letter TEXT NOT NULL,
        PRIMARY KEY (subscription, offset)) STRICT, WITHOUT ROWID",
    "
    ALTER TABLE position ADD COLUMN checksum INTEGER NOT NULL DEFAULT -1;
    UPDATE position SET checksum = checksum(one, next);
    ALTER TABLE channel ADD COLUMN checksum INTEGER NOT NULL DEFAULT -1;
    UPDATE channel SET checksum = checksum(id, name, next, first, expired_until_ms);
    ALTER TABLE processor ADD COLUMN checksum INTEGER NOT NULL DEFAULT -1;
    UPDATE processor SET checksum = checksum(id, name, deployed, held);
    ALTER TABLE subscription ADD COLUMN checksum INTEGER NOT NULL DEFAULT -1;
    UPDATE subscription SET checksum =
        checksum(id, processor, channel, start, cursor, ahead, forgotten, filtered, replays, expired, acked, discarded);
    ALTER TABLE deployment ADD COLUMN checksum INTEGER NOT NULL DEFAULT -1;
    UPDATE deployment SET checksum = checksum(place, receipt);
    ALTER TABLE state ADD COLUMN checksum INTEGER NOT NULL DEFAULT -1;
    UPDATE state SET checksum = checksum(processor, key, name, expires_ms, value);
    ALTER TABLE dead ADD COLUMN checksum INTEGER NOT NULL DEFAULT -1;
    UPDATE dead SET checksum = checksum(subscription, offset, letter)",
];

/// Why the store cannot be used. What an earlier host left in it is never the reason: see [`Store::open`].
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// SQLite refused.
    #[error(
        "views {path}: {source}; check the disk and the rights of the folder, and that no other program holds the file"
    )]
    Sqlite {
        /// The database.
        path: PathBuf,
        /// What it said.
        source: rusqlite::Error,
    },
    /// A file that was made a moment ago does not hold what was put there.
    #[error("views {path}: {why}; the disk does not keep what is written, so put the folder on another")]
    Broken {
        /// The database.
        path: PathBuf,
        /// What was found.
        why: String,
    },
    /// The operating system refused.
    #[error("views {path}: {source}; check the disk and the rights of the folder")]
    Io {
        /// The database.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
}

/// The store, open.
pub struct Store {
    path: PathBuf,
    connection: Connection,
}

/// Why what is in a file cannot be taken over, or why the file cannot be read.
#[derive(Debug)]
enum Fault {
    Broken(String),
    Sqlite(rusqlite::Error),
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(
                ErrorCode::CannotOpen
                | ErrorCode::PermissionDenied
                | ErrorCode::ReadOnly
                | ErrorCode::DiskFull
                | ErrorCode::DatabaseBusy
                | ErrorCode::DatabaseLocked
                | ErrorCode::SystemIoFailure
                | ErrorCode::FileLockingProtocolFailed
                | ErrorCode::OutOfMemory,
            ) => Self::Sqlite(error),
            _ => Self::Broken(error.to_string()),
        }
    }
}

impl Store {
    /// Opens a store, and hands out the views and the position that they reflect: everything before it is in them.
    /// What is broken, foreign or of another version is renamed to `*.broken`, and the views start from nothing.
    pub fn open(path: &Path) -> Result<(Self, World, u64), Error> {
        let io = |source| Error::Io { path: path.to_owned(), source };
        if let Some(dir) = path.parent() {
            fs::create_dir_all(dir).map_err(io)?;
        }
        match Self::load(path) {
            Err(Fault::Broken(why)) => {
                tracing::warn!(file = %path.display(), %why, "the views are set aside and folded again from the journal");
                set_aside(path).map_err(io)?;
                Self::load(path).map_err(|fault| fault.at(path))
            }
            loaded => loaded.map_err(|fault| fault.at(path)),
        }
    }

    fn load(path: &Path) -> Result<(Self, World, u64), Fault> {
        let connection = Connection::open(path)?;
        prepare(&connection)?;
        sums::check_pages(&connection)?;
        let (world, next) = load::world(&connection)?;
        Ok((Self { path: path.to_owned(), connection }, world, next))
    }

    /// Writes rows and the position that the views reflect with them, all or nothing. Everything before `next_position` has to be
    /// durable in the journal by now, or a crash leaves views ahead of their journal. Rows that could not be written have to
    /// be written again before others: the world does not hand them out twice.
    pub fn write(&mut self, rows: &Rows, next_position: u64) -> Result<(), Error> {
        write::rows(&mut self.connection, rows, next_position)
            .map_err(|source| Error::Sqlite { path: self.path.clone(), source })
    }
}

impl Store {
    /// Writes everything that it holds into a new file, as one moment's state.
    pub fn copy_to(&self, path: &Path) -> Result<(), Error> {
        let to = path.to_string_lossy();
        let copied = self.connection.execute("VACUUM INTO ?1", [&to]);
        copied.map(drop).map_err(|source| Error::Sqlite { path: path.to_owned(), source })
    }

    /// Puts the file of a copy in the place of a store that nobody has open.
    pub fn replace(path: &Path, copy: &Path) -> io::Result<()> {
        for part in ["", "-wal", "-shm"] {
            match fs::remove_file(with_suffix(path, part)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        fs::rename(copy, path)
    }
}

impl Fault {
    fn at(self, path: &Path) -> Error {
        let path = path.to_owned();
        match self {
            Self::Sqlite(source) => Error::Sqlite { path, source },
            Self::Broken(why) => Error::Broken { path, why },
        }
    }
}

/// Makes a new file a store, and refuses one that is something else.
fn prepare(connection: &Connection) -> Result<(), Fault> {
    // A sync per write would buy nothing: what a power cut takes from the log is folded again from the journal, which is the
    // truth. NORMAL keeps the file whole, and position and rows together.
    connection.pragma_update(None, "journal_mode", "wal")?;
    connection.pragma_update(None, "synchronous", "normal")?;
    connection.pragma_update(None, "journal_size_limit", LOG_BYTES_MAX)?;
    connection.set_prepared_statement_cache_capacity(32);
    sums::teach(connection)?;
    let number = |pragma: &str| connection.pragma_query_value(None, pragma, |row| row.get::<_, i32>(0));
    let tables: u32 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    match (tables, number("application_id")?, number("user_version")?) {
        (0, ..) => Ok(create(connection)?),
        (_, APPLICATION, version @ 1..=VERSION) => Ok(migrate(connection, version)?),
        (_, APPLICATION, other) => {
            Err(Fault::Broken(format!("version {other}, and this host has {VERSION}")))
        }
        _ => Err(Fault::Broken("it is the database of another program".to_owned())),
    }
}

fn create(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(&format!(
        "BEGIN; {SCHEMA} INSERT INTO position VALUES (1, 0);
         PRAGMA application_id = {APPLICATION}; PRAGMA user_version = 1; COMMIT;"
    ))?;
    migrate(connection, 1)
}

fn migrate(connection: &Connection, from: i32) -> rusqlite::Result<()> {
    for (version, step) in (1..).zip(MIGRATIONS).filter(|(version, _)| *version >= from) {
        let next = version + 1;
        connection.execute_batch(&format!("BEGIN; {step}; PRAGMA user_version = {next}; COMMIT;"))?;
    }
    Ok(())
}

/// Renames the database and its log; of what was set aside before, only this is kept.
fn set_aside(path: &Path) -> io::Result<()> {
    for part in ["", "-wal", "-shm"] {
        let from = with_suffix(path, part);
        match fs::rename(&from, with_suffix(&with_suffix(path, ".broken"), part)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}
