//! Whether the file is still what SQLite wrote.

use std::time::{Duration, Instant};

use rusqlite::ErrorCode;

use super::{Store, StoreError};

/// How many steps of SQLite's machine pass between two looks at the clock.
const STEPS: i32 = 100_000;

/// What came out of a check of the store's file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Integrity {
    /// Nothing is wrong.
    Sound,
    /// Time was up; nothing was wrong until then.
    Unfinished,
    /// The file is damaged; SQLite's words for it.
    Damaged(String),
}

impl Store {
    /// Has SQLite look through the file, for at most `limit`.
    ///
    /// # Errors
    /// [`StoreError::Failed`].
    pub fn check(&mut self, limit: Duration) -> Result<Integrity, StoreError> {
        let begin = Instant::now();
        let outcome = self
            .db
            .progress_handler(STEPS, Some(move || begin.elapsed() > limit))
            .and_then(|()| {
                self.db
                    .query_row("PRAGMA quick_check(1)", [], |row| row.get::<_, String>(0))
            });
        let reset = self.db.progress_handler(0, None::<fn() -> bool>);
        reset.map_err(|error| self.failed(&error))?;
        match outcome {
            Ok(words) if words == "ok" => Ok(Integrity::Sound),
            Ok(words) => Ok(Integrity::Damaged(words)),
            Err(error) => match error.sqlite_error_code() {
                Some(ErrorCode::OperationInterrupted) => Ok(Integrity::Unfinished),
                Some(ErrorCode::DatabaseCorrupt) => Ok(Integrity::Damaged(error.to_string())),
                _ => Err(self.failed(&error)),
            },
        }
    }
}
