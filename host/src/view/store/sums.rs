//! A checksum for each row, because SQLite has none: a disk that turns a bit of a value would make it another value, and nobody would
//! see it. That rows are missing or there twice is seen by SQLite's own check of its pages.

use rusqlite::functions::{Context, FunctionFlags};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row};

use super::Fault;

/// The columns of each table, in the order in which they are summed. One that joins a table joins its list, and the step that adds it sums
/// all rows anew.
pub(crate) const POSITION: &str = "one, next";
pub(crate) const CHANNEL: &str = "id, name, next, first, expired_until_ms";
pub(crate) const PROCESSOR: &str = "id, name, deployed, held";
pub(crate) const SUBSCRIPTION: &str =
    "id, processor, channel, start, cursor, ahead, forgotten, filtered, replays, expired, acked, discarded";
pub(crate) const DEPLOYMENT: &str = "place, receipt";
pub(crate) const STATE: &str = "processor, key, name, expires_ms, value";
pub(crate) const DEAD: &str = "subscription, offset, letter";

/// Teaches a connection the function `checksum`.
pub(crate) fn teach(connection: &Connection) -> rusqlite::Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
    connection.create_scalar_function("checksum", -1, flags, checksum)
}

fn checksum(values: &Context<'_>) -> rusqlite::Result<i64> {
    let mut hasher = crc32fast::Hasher::new();
    for index in 0..values.len() {
        match values.get_raw(index) {
            ValueRef::Integer(number) => part(&mut hasher, b'i', &number.to_le_bytes()),
            ValueRef::Text(text) => part(&mut hasher, b't', text),
            ValueRef::Blob(bytes) => part(&mut hasher, b'b', bytes),
            ValueRef::Real(number) => part(&mut hasher, b'r', &number.to_le_bytes()),
            ValueRef::Null => part(&mut hasher, b'n', b""),
        }
    }
    Ok(i64::from(hasher.finalize()))
}

fn part(hasher: &mut crc32fast::Hasher, kind: u8, bytes: &[u8]) {
    hasher.update(&[kind]);
    hasher.update(&(bytes.len() as u64).to_le_bytes());
    hasher.update(bytes);
}

/// Refuses a file whose pages do not fit together.
pub(super) fn check_pages(connection: &Connection) -> Result<(), Fault> {
    let found: String = connection.pragma_query_value(None, "quick_check", |row| row.get(0))?;
    if found == "ok" { Ok(()) } else { Err(Fault::Broken(found)) }
}

/// Gives each row of a table, and refuses one that is not as it was written.
pub(super) fn each(
    from: &Connection,
    table: &str,
    columns: &str,
    mut take: impl FnMut(&Row<'_>) -> Result<(), Fault>,
) -> Result<(), Fault> {
    let query = format!("SELECT {columns}, checksum = checksum({columns}) AS whole FROM {table} ORDER BY 1");
    let mut statement = from.prepare(&query)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        if !row.get::<_, bool>("whole")? {
            return Err(Fault::Broken(format!("a row of {table} does not match its checksum")));
        }
        take(row)?;
    }
    Ok(())
}
