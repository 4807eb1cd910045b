//! A backup: all records of one moment, in a file that any database takes again.
//!
//! ```text
//! {"format":"strongroom-central-backup/v1","made_ms":…}     the first line
//! {"tenant":…,"table":…,"id":…,"version":…,"columns":[…],"body":…}   for each record
//! {"rows":…,"sha256":…}          the last: how many, and a hash over all lines before
//! ```
//!
//! No key is in it, neither `secret.key` nor the vendors': both change seldom, and lie in files.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use protocol::crypto::hash::Sha256;
use protocol::errors::{ErrorCode, Shown};
use protocol::ids::hex;
use serde::{Deserialize, Serialize};
use vendor::files::NewFile;

use crate::domain::refusal::Refusal;
use crate::store::{
    ColumnKind, Filter, Page, Purpose, Row, Store, StoreError, Table, Transaction, Value, Write,
    tables,
};

/// What the first line says.
const FORMAT: &str = "strongroom-central-backup/v1";

/// Rows that are read at a time.
const PAGE: usize = 500;

/// Bytes of the longest line.
const LINE_LEN_MAX: u64 = 64 * 1024 * 1024;

/// What a backup has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Contents {
    /// When it was made, milliseconds since 1970 UTC.
    pub made_ms: i64,
    /// Records.
    pub rows: u64,
    /// Hash over it, hexadecimal.
    pub sha256: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct FirstLine {
    format: String,
    made_ms: i64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RowLine {
    tenant: String,
    table: String,
    id: String,
    version: i64,
    columns: Vec<Cell>,
    body: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct LastLine {
    rows: u64,
    sha256: String,
}

/// A value of a column, as JSON has it.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Cell {
    Number(i64),
    Text(String),
    Null,
}

/// Writes the records of these tenants into a new file, and reads it again to see that it is whole.
///
/// # Errors
/// The database cannot be read, or the file not be written.
pub fn make(
    store: &dyn Store,
    tenants: &[String],
    path: &Path,
    made_ms: i64,
) -> Result<Contents, Shown> {
    let mut out = None;
    let mut failed = None;
    let done = store.transact(Purpose::Read, &mut |open| {
        // One that met a conflict begins again.
        out = None;
        match Output::write(open, tenants, path, made_ms) {
            Ok(written) => out = Some(written),
            Err(Refusal::Store(error)) => return Err(error),
            Err(Refusal::Told(error)) => failed = Some(error),
        }
        Ok(())
    });
    done.map_err(|error| Refusal::from(error).shown())?;
    if let Some(error) = failed {
        return Err(error);
    }
    if let Some(out) = out {
        out.finish()?;
    }
    read(path, &mut |_| Ok(()))
}

/// A backup on its way.
struct Output {
    file: NewFile,
    hash: Sha256,
    rows: u64,
}

impl Output {
    fn write(
        open: &mut dyn Transaction,
        tenants: &[String],
        path: &Path,
        made_ms: i64,
    ) -> Result<Self, Refusal> {
        let file = NewFile::begin_private(path)?;
        let mut out = Output { file, hash: Sha256::new(), rows: 0 };
        out.line(&FirstLine { format: FORMAT.to_owned(), made_ms })?;
        for tenant in tenants {
            for table in tables::ALL {
                out.table(open, tenant, table)?;
            }
        }
        Ok(out)
    }

    fn table(
        &mut self,
        open: &mut dyn Transaction,
        tenant: &str,
        table: &'static Table,
    ) -> Result<(), Refusal> {
        let mut after: Option<String> = None;
        loop {
            let page = Page { after: after.as_deref(), limit: PAGE };
            let rows = open.find(tenant, table, &Filter::All, &page)?;
            let count = rows.len();
            after = rows.last().map(|row| row.id.clone());
            for row in rows {
                self.line(&RowLine::new(tenant, table, row))?;
                self.rows += 1;
            }
            if count < PAGE {
                return Ok(());
            }
        }
    }

    fn line(&mut self, line: &impl Serialize) -> Result<(), Shown> {
        let mut bytes = serde_json::to_vec(line).unwrap_or_default();
        bytes.push(b'\n');
        self.hash.update(&bytes);
        self.file.write(&bytes)
    }

    fn finish(mut self) -> Result<(), Shown> {
        let sha256 = hex(&self.hash.finish());
        let mut bytes =
            serde_json::to_vec(&LastLine { rows: self.rows, sha256 }).unwrap_or_default();
        bytes.push(b'\n');
        self.file.write(&bytes)?;
        self.file.commit()
    }
}

/// Reads a backup, and shows each row to `see`. Whether it is whole is known at the end only, so
/// what is done with the rows must not count before.
///
/// # Errors
/// It is damaged, or `see` failed.
pub fn read(
    path: &Path,
    see: &mut dyn FnMut(Write) -> Result<(), StoreError>,
) -> Result<Contents, Shown> {
    let file = File::open(path).map_err(|error| Shown::io(path, &error))?;
    let mut input = Input { path, file: BufReader::new(file), hash: Sha256::new(), lines: 0 };
    let first = input.line()?.ok_or_else(|| input.damaged("it is empty"))?;
    let first: FirstLine = serde_json::from_slice(&first).map_err(|e| input.damaged(&e))?;
    if first.format != FORMAT {
        return Err(input.damaged(&first.format));
    }
    let mut rows = 0;
    loop {
        let before = input.hash.clone();
        let line = input.line()?.ok_or_else(|| input.damaged("it was cut short"))?;
        if let Ok(last) = serde_json::from_slice::<LastLine>(&line) {
            let sha256 = hex(&before.finish());
            if (rows, &sha256) != (last.rows, &last.sha256) || input.line()?.is_some() {
                return Err(input.damaged("its hash is another one"));
            }
            return Ok(Contents { made_ms: first.made_ms, rows, sha256 });
        }
        let row: RowLine = serde_json::from_slice(&line).map_err(|error| input.damaged(&error))?;
        let write = row.write().ok_or_else(|| input.damaged("no row of a table that is known"))?;
        see(write).map_err(|error| Refusal::from(error).shown())?;
        rows += 1;
    }
}

struct Input<'a> {
    path: &'a Path,
    file: BufReader<File>,
    hash: Sha256,
    lines: u64,
}

impl Input<'_> {
    /// The next line, with its end; none at the end of the file.
    fn line(&mut self) -> Result<Option<Vec<u8>>, Shown> {
        let mut line = Vec::new();
        let read = self.file.by_ref().take(LINE_LEN_MAX).read_until(b'\n', &mut line);
        read.map_err(|error| Shown::io(self.path, &error))?;
        self.lines += 1;
        if line.is_empty() {
            return Ok(None);
        }
        if line.last() != Some(&b'\n') {
            return Err(self.damaged("it was cut short"));
        }
        self.hash.update(&line);
        Ok(Some(line))
    }

    fn damaged(&self, why: impl std::fmt::Display) -> Shown {
        let failure = Shown::from(ErrorCode::BackupDamaged.with(self.lines, 0));
        failure.about(self.path.display()).detailed(why)
    }
}

impl RowLine {
    fn new(tenant: &str, table: &Table, row: Row) -> Self {
        let Row { id, version, columns, body } = row;
        let columns = columns.into_iter().map(|value| match value {
            Value::Null => Cell::Null,
            Value::Number(number) => Cell::Number(number),
            Value::Text(text) => Cell::Text(text),
        });
        let (tenant, table) = (tenant.to_owned(), table.name.to_owned());
        RowLine { tenant, table, id, version, columns: columns.collect(), body }
    }

    /// The row, if there is such a table with such columns.
    fn write(self) -> Option<Write> {
        let table = *tables::ALL.iter().find(|table| table.name == self.table)?;
        if table.columns.len() != self.columns.len() || self.version < 1 {
            return None;
        }
        let pairs = table.columns.iter().zip(self.columns);
        let columns = pairs.map(|(column, cell)| match (column.kind, cell) {
            (_, Cell::Null) => Some(Value::Null),
            (ColumnKind::Number, Cell::Number(number)) => Some(Value::Number(number)),
            (ColumnKind::Text, Cell::Text(text)) => Some(Value::Text(text)),
            _ => None,
        });
        let columns = columns.collect::<Option<_>>()?;
        let row = Row { id: self.id, version: self.version, columns, body: self.body };
        Some(Write { tenant: self.tenant, table, row })
    }
}
