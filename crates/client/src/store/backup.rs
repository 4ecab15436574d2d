//! What of a store moves to another machine: contacts and how identities ended, but no messages.
//!
//! The rows of whole tables, by the names of their columns, with the version of the schema that they
//! are of. A later ctalk makes the tables of that version, fills them, and migrates them as it does
//! with a file of its own. Nothing of a dump is SQL: tables and columns are looked up by name.

use std::{collections::BTreeMap, path::Path};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ctalk_core::EncryptionKey;
use rusqlite::{
    Connection, ToSql, Transaction, params_from_iter,
    types::{ToSqlOutput, Value, ValueRef},
};
use serde::{Deserialize, Serialize};

use super::{Store, StoreError, connect, schema};

/// The tables that move, in an order in which every row finds those that it refers to.
const TABLES: [&str; 6] = [
    "relays",
    "contacts",
    "addresses",
    "keys",
    "cards",
    "endings",
];

/// The rows that move.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Dump {
    /// Version of the schema.
    schema: i64,
    tables: BTreeMap<String, Table>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    columns: Vec<String>,
    rows: Vec<Vec<Cell>>,
}

/// A value, in JSON as `null`, number, text or `{"blob": base64}`.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Cell {
    Null,
    Integer(i64),
    Text(String),
    Blob { blob: String },
}

/// Why a dump cannot be restored.
#[derive(Debug)]
pub(crate) enum Unrestored {
    /// The tables are of a newer schema.
    Newer,
    /// The dump makes no sense.
    Damaged(String),
    /// The new store failed.
    Store(StoreError),
}

impl From<StoreError> for Unrestored {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl Dump {
    /// How many contacts there are.
    pub(crate) fn contacts(&self) -> usize {
        self.tables
            .get("contacts")
            .map_or(0, |table| table.rows.len())
    }

    /// Makes a store at `path`, where there is none, that holds these rows.
    pub(crate) fn restore(&self, path: &Path) -> Result<(), Unrestored> {
        if self.schema > schema::newest() {
            return Err(Unrestored::Newer);
        }
        if self.schema < 1 || !self.tables.keys().map(String::as_str).eq(sorted_tables()) {
            return Err(Unrestored::Damaged("other tables are expected".into()));
        }
        let shown = path.display().to_string();
        let mut db = connect(path)?;
        schema::migrate_to(self.schema, &mut db, &shown)?;
        self.fill(&mut db)
            .map_err(|error| Unrestored::Damaged(error.to_string()))?;
        schema::migrate(&mut db, &shown)?;
        drop(db);
        check(path)
    }

    fn fill(&self, db: &mut Connection) -> rusqlite::Result<()> {
        let transaction = db.transaction()?;
        for (name, table) in TABLES
            .iter()
            .filter_map(|name| self.tables.get_key_value(*name))
        {
            table.fill(&transaction, name)?;
        }
        transaction.commit()
    }
}

impl Table {
    fn read(db: &Connection, name: &str) -> rusqlite::Result<Self> {
        let mut query = db.prepare(&format!("SELECT * FROM {name}"))?;
        let columns: Vec<String> = query.column_names().map(str::to_owned).collect();
        let rows = query
            .query_map([], |row| {
                (0..columns.len())
                    .map(|column| Cell::new(row.get_ref(column)?, column))
                    .collect()
            })?
            .collect::<rusqlite::Result<_>>()?;
        Ok(Self { columns, rows })
    }

    fn fill(&self, transaction: &Transaction<'_>, name: &str) -> rusqlite::Result<()> {
        // Names from the file are compared with those of the table, and never become part of SQL.
        let query = transaction.prepare(&format!("SELECT * FROM {name}"))?;
        if !query.column_names().eq(self.columns.iter()) {
            return Err(rusqlite::Error::InvalidColumnName(name.to_owned()));
        }
        let places = vec!["?"; self.columns.len()].join(", ");
        let mut insert = transaction.prepare(&format!("INSERT INTO {name} VALUES ({places})"))?;
        for row in &self.rows {
            insert.execute(params_from_iter(row))?;
        }
        Ok(())
    }
}

impl Cell {
    fn new(value: ValueRef<'_>, column: usize) -> rusqlite::Result<Self> {
        Ok(match Value::try_from(value)? {
            Value::Null => Self::Null,
            Value::Integer(number) => Self::Integer(number),
            Value::Text(text) => Self::Text(text),
            Value::Blob(bytes) => Self::Blob {
                blob: STANDARD.encode(bytes),
            },
            Value::Real(_) => {
                let what = "a number that is not whole";
                return Err(rusqlite::Error::FromSqlConversionFailure(
                    column,
                    rusqlite::types::Type::Real,
                    what.into(),
                ));
            }
        })
    }
}

impl ToSql for Cell {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self {
            Self::Null => rusqlite::types::Null.into(),
            Self::Integer(number) => (*number).into(),
            Self::Text(text) => text.as_str().into(),
            Self::Blob { blob } => STANDARD
                .decode(blob)
                .map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?
                .into(),
        })
    }
}

impl Store {
    /// The rows that move to another machine.
    pub(crate) fn dump(&self) -> Result<Dump, StoreError> {
        self.read(|db| {
            // One transaction, so that all tables are of the same moment.
            let transaction = db.unchecked_transaction()?;
            let tables = TABLES.iter().map(|name| {
                let table = Table::read(&transaction, name)?;
                Ok(((*name).to_owned(), table))
            });
            Ok(Dump {
                schema: schema::version(&transaction)?,
                tables: tables.collect::<rusqlite::Result<_>>()?,
            })
        })
    }
}

fn sorted_tables() -> impl Iterator<Item = &'static str> {
    let mut names = TABLES;
    names.sort_unstable();
    names.into_iter()
}

/// Reads every contact and card as work does, so that what cannot be read is found out now.
fn check(path: &Path) -> Result<(), Unrestored> {
    let damaged = |error: StoreError| Unrestored::Damaged(error.to_string());
    let store = Store::open(path, None)?;
    for contact in store.contacts().map_err(damaged)? {
        store.card_history(&contact).map_err(damaged)?;
        EncryptionKey::from_bytes(*contact.keys.encryption().as_bytes())
            .map_err(|error| Unrestored::Damaged(error.to_string()))?;
    }
    Ok(())
}
