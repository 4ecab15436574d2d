//! Tables and numbered migrations; `PRAGMA user_version` holds the number of the last one applied.

use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};

use super::StoreError;

/// Each step runs once, in order, in a transaction of its own. Steps are only ever added.
const MIGRATIONS: [&str; 21] = [
    "
    CREATE TABLE relays (
        id   INTEGER PRIMARY KEY,
        url  TEXT NOT NULL UNIQUE
    ) STRICT;

    -- Names that differ only in case would be told apart by nobody.
    CREATE TABLE contacts (
        id       INTEGER PRIMARY KEY,
        name     TEXT NOT NULL UNIQUE COLLATE NOCASE,
        learned  TEXT NOT NULL CHECK (learned IN ('first-use', 'accepted')),
        since    INTEGER NOT NULL
    ) STRICT;

    CREATE TABLE addresses (
        relay    INTEGER NOT NULL REFERENCES relays (id),
        address  TEXT NOT NULL,
        contact  INTEGER NOT NULL REFERENCES contacts (id) ON DELETE CASCADE,
        PRIMARY KEY (relay, address)
    ) STRICT;
    CREATE INDEX addresses_of_contact ON addresses (contact);

    -- Retired keys stay: whoever shows one of them later is not its owner.
    CREATE TABLE keys (
        contact  INTEGER NOT NULL REFERENCES contacts (id) ON DELETE CASCADE,
        kind     TEXT NOT NULL CHECK (kind IN ('encryption', 'signing')),
        key      BLOB NOT NULL CHECK (length(key) = 32),
        since    INTEGER NOT NULL,
        until    INTEGER
    ) STRICT;
    CREATE INDEX keys_of_contact ON keys (contact);
    CREATE INDEX contacts_of_key ON keys (kind, key);
    CREATE UNIQUE INDEX one_holder_per_key ON keys (kind, key) WHERE until IS NULL;
    CREATE UNIQUE INDEX one_key_per_kind ON keys (contact, kind) WHERE until IS NULL;

    -- What was handled, by a hash of its content: no message is handed over twice.
    CREATE TABLE seen (
        hash      BLOB PRIMARY KEY CHECK (length(hash) = 32),
        relay_id  TEXT,
        expires   INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX seen_by_expiry ON seen (expires);

    -- A message that is done keeps its digest and loses its bytes, so that a relay which shows it
    -- again is not listened to.
    CREATE TABLE inbox (
        number    INTEGER PRIMARY KEY AUTOINCREMENT,
        relay     INTEGER NOT NULL REFERENCES relays (id),
        relay_id  TEXT,
        digest    BLOB NOT NULL CHECK (length(digest) = 32),
        sent_at   INTEGER NOT NULL,
        stored_at INTEGER NOT NULL,
        state     TEXT NOT NULL CHECK (state IN ('new', 'done', 'quarantined')),
        reason    TEXT,
        detail    TEXT,
        expires   INTEGER,
        raw       BLOB NOT NULL,
        UNIQUE (relay, digest)
    ) STRICT;
    CREATE INDEX inbox_by_age ON inbox (relay, state, sent_at, number);
    CREATE INDEX inbox_by_relay_id ON inbox (relay_id);
    CREATE INDEX inbox_by_expiry ON inbox (expires) WHERE expires IS NOT NULL;
",
    "
    -- The newest key card known of a contact, as its owner signed it.
    ALTER TABLE contacts ADD COLUMN card BLOB;

    -- Which native envelopes were handled: sender and id, and which header they came under.
    CREATE TABLE seen_envelopes (
        sender   BLOB NOT NULL CHECK (length(sender) = 32),
        id       BLOB NOT NULL CHECK (length(id) = 16),
        digest   BLOB NOT NULL CHECK (length(digest) = 32),
        expires  INTEGER NOT NULL,
        PRIMARY KEY (sender, id)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX seen_envelopes_by_expiry ON seen_envelopes (expires);
",
    "
    -- When the relay's directory last showed the contact's card.
    ALTER TABLE contacts ADD COLUMN refreshed INTEGER;
",
    "
    -- More ways to learn of somebody, and more states of a message, than the first step allowed.
    ALTER TABLE contacts ADD COLUMN origin TEXT NOT NULL DEFAULT 'first-use';
    UPDATE contacts SET origin = learned;
    ALTER TABLE contacts DROP COLUMN learned;
    ALTER TABLE contacts RENAME COLUMN origin TO learned;
    DROP INDEX inbox_by_age;
    ALTER TABLE inbox ADD COLUMN status TEXT NOT NULL DEFAULT 'new'
        CHECK (status IN ('new', 'running', 'done', 'dead', 'held', 'quarantined'));
    UPDATE inbox SET status = state;
    ALTER TABLE inbox DROP COLUMN state;
    ALTER TABLE inbox RENAME COLUMN status TO state;
    CREATE INDEX inbox_by_age ON inbox (relay, state, sent_at, number);

    ALTER TABLE contacts ADD COLUMN standing TEXT NOT NULL DEFAULT 'pinned'
        CHECK (standing IN ('blocked', 'pinned', 'verified'));
    ALTER TABLE contacts ADD COLUMN notes TEXT NOT NULL DEFAULT '';

    -- The cards that were taken over, of present and former identities. Serials are big-endian, so
    -- that they sort; X-Wing keys are here by their SHA-256, to find another holder of one.
    CREATE TABLE cards (
        contact   INTEGER NOT NULL REFERENCES contacts (id) ON DELETE CASCADE,
        signer    BLOB NOT NULL CHECK (length(signer) = 32),
        serial    BLOB NOT NULL CHECK (length(serial) = 8),
        xwing     BLOB NOT NULL CHECK (length(xwing) = 32),
        card      BLOB NOT NULL,
        received  INTEGER NOT NULL,
        PRIMARY KEY (contact, signer, serial)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX cards_of_xwing ON cards (xwing);

    -- Identities that ended, with a successor or without. They stay when the contact is removed.
    CREATE TABLE endings (
        identity   BLOB PRIMARY KEY CHECK (length(identity) = 32),
        successor  BLOB CHECK (length(successor) = 32),
        statement  BLOB NOT NULL,
        seen       INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
",
    "
    -- Serials, big-endian, of the own card that a relay's directory shows, and of the one that a
    -- contact was last sent.
    ALTER TABLE relays ADD COLUMN published BLOB CHECK (length(published) = 8);
    ALTER TABLE contacts ADD COLUMN told BLOB CHECK (length(told) = 8);
",
    "
    -- What the user accepted is handed over whatever the policy says; what was counted for the policy
    -- is not counted again when it is handed over again.
    ALTER TABLE inbox ADD COLUMN accepted INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE inbox ADD COLUMN counted INTEGER NOT NULL DEFAULT 0;

    -- What a sender, by its signing key, handed over in the minute that began at that time.
    CREATE TABLE minutes (
        sender  BLOB PRIMARY KEY,
        began   INTEGER NOT NULL,
        handed  INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX minutes_by_age ON minutes (began);

    -- What a sender handed over in a conversation, which is known by the SHA-256 of its id.
    CREATE TABLE conversations (
        sender  BLOB NOT NULL,
        id      BLOB NOT NULL CHECK (length(id) = 32),
        turns   INTEGER NOT NULL,
        last    INTEGER NOT NULL,
        PRIMARY KEY (sender, id)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX conversations_by_age ON conversations (last);
",
    "
    -- How often a message was tried and when it is tried again (Unix epoch), who has it in hand until
    -- when (monotonic clock; both in milliseconds), whose it is, and what it has in common with copies
    -- of it. Sender and mark are there from the first claim on, while they are needed.
    ALTER TABLE inbox ADD COLUMN attempt INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE inbox ADD COLUMN due INTEGER;
    ALTER TABLE inbox ADD COLUMN lease INTEGER;
    ALTER TABLE inbox ADD COLUMN sender BLOB CHECK (length(sender) = 32);
    ALTER TABLE inbox ADD COLUMN mark BLOB;
    ALTER TABLE inbox ADD COLUMN header BLOB CHECK (length(header) = 32);
    CREATE INDEX inbox_by_sender ON inbox (relay, sender) WHERE sender IS NOT NULL;
    CREATE INDEX inbox_by_mark ON inbox (mark) WHERE mark IS NOT NULL;
    CREATE INDEX inbox_to_retry ON inbox (relay, due) WHERE state = 'new' AND attempt > 0;
",
    "
    -- Envelopes that come in parts: what the parts say of them, and how many are still missing. One that
    -- is whole, or makes no envelope, misses none and has no slices any more.
    CREATE TABLE wholes (
        number     INTEGER PRIMARY KEY,
        sender     BLOB NOT NULL CHECK (length(sender) = 32),
        id         BLOB NOT NULL CHECK (length(id) = 16),
        digest     BLOB NOT NULL CHECK (length(digest) = 32),
        length     INTEGER NOT NULL,
        slice_len  INTEGER NOT NULL,
        expires    INTEGER NOT NULL,
        stranger   INTEGER NOT NULL,
        missing    INTEGER NOT NULL,
        UNIQUE (sender, id)
    ) STRICT;
    CREATE INDEX wholes_by_expiry ON wholes (expires);
    CREATE INDEX wholes_to_come ON wholes (missing) WHERE missing > 0;

    CREATE TABLE slices (
        whole  INTEGER NOT NULL REFERENCES wholes (number) ON DELETE CASCADE,
        place  INTEGER NOT NULL,
        slice  BLOB NOT NULL,
        UNIQUE (whole, place)
    ) STRICT;

    -- The envelope of a message that came in parts, the last of which is what was received.
    ALTER TABLE inbox ADD COLUMN envelope BLOB;
",
    "
    -- How often a message was claimed. Unlike its attempts this never begins again, so that it tells
    -- a claim from all others.
    ALTER TABLE inbox ADD COLUMN claims INTEGER NOT NULL DEFAULT 0;
    UPDATE inbox SET claims = attempt;
",
    "
    -- What is on its way to a relay, as it is handed over: sealed, unless it was to go in the clear.
    -- The lease is by the machine's monotonic clock; uncertain is what the relay may have already.
    CREATE TABLE outbox (
        number          INTEGER PRIMARY KEY AUTOINCREMENT,
        relay           INTEGER NOT NULL REFERENCES relays (id),
        id              TEXT,
        format          TEXT NOT NULL CHECK (format IN ('native', 'classic', 'plain')),
        message_type    TEXT NOT NULL,
        topic           TEXT,
        correlation_id  TEXT,
        reply_to        TEXT,
        ttl             INTEGER,
        body            TEXT NOT NULL,
        nonce           TEXT,
        signature       TEXT,
        card            BLOB CHECK (length(card) = 8),
        state           TEXT NOT NULL CHECK (state IN ('queued', 'sent', 'failed')),
        created         INTEGER NOT NULL,
        expires         INTEGER NOT NULL,
        attempt         INTEGER NOT NULL,
        uncertain       INTEGER NOT NULL,
        due             INTEGER,
        lease           INTEGER,
        error           TEXT
    ) STRICT;
    CREATE INDEX outbox_by_state ON outbox (relay, state, number);
    CREATE INDEX outbox_by_expiry ON outbox (relay, expires);
    CREATE INDEX outbox_by_id ON outbox (id);

    -- Without an address: everybody. Contacts may go before their messages.
    CREATE TABLE outbox_recipients (
        message  INTEGER NOT NULL REFERENCES outbox (number) ON DELETE CASCADE,
        place    INTEGER NOT NULL,
        address  TEXT,
        contact  INTEGER,
        name     TEXT NOT NULL,
        PRIMARY KEY (message, place)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX outbox_by_address ON outbox_recipients (address, message);

    -- What was sent under a key, which delivers once: digests of key and content, and for each
    -- recipient what became of its message. Kept for good.
    CREATE TABLE idempotency_keys (
        sender   BLOB NOT NULL CHECK (length(sender) = 32),
        key      BLOB NOT NULL CHECK (length(key) = 32),
        content  BLOB NOT NULL CHECK (length(content) = 32),
        PRIMARY KEY (sender, key)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE idempotent_outcomes (
        sender     BLOB NOT NULL,
        key        BLOB NOT NULL,
        recipient  TEXT NOT NULL,
        message    INTEGER NOT NULL,
        state      TEXT NOT NULL CHECK (state IN ('queued', 'sent', 'given-up')),
        sent       TEXT NOT NULL,
        PRIMARY KEY (sender, key, recipient),
        FOREIGN KEY (sender, key) REFERENCES idempotency_keys (sender, key)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX idempotent_outcomes_of_message ON idempotent_outcomes (message);
",
    "
    -- How much waits for the user, by state. A message has its size while it does.
    CREATE TABLE aside (
        state     TEXT PRIMARY KEY,
        messages  INTEGER NOT NULL,
        bytes     INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    ALTER TABLE inbox ADD COLUMN size INTEGER NOT NULL DEFAULT 0;
    UPDATE inbox SET size = length(raw) + coalesce(length(envelope), 0)
        WHERE state IN ('dead', 'held', 'quarantined');
    INSERT INTO aside SELECT 'dead', count(*), coalesce(sum(size), 0) FROM inbox WHERE state = 'dead';
    INSERT INTO aside SELECT 'held', count(*), coalesce(sum(size), 0) FROM inbox WHERE state = 'held';
    INSERT INTO aside
        SELECT 'quarantined', count(*), coalesce(sum(size), 0) FROM inbox WHERE state = 'quarantined';
    CREATE INDEX inbox_aside ON inbox (state, number) WHERE state IN ('dead', 'held', 'quarantined');
    CREATE TRIGGER inbox_goes_aside AFTER UPDATE OF state ON inbox
        WHEN new.state IN ('dead', 'held', 'quarantined') BEGIN
        UPDATE aside SET messages = messages + 1, bytes = bytes + new.size WHERE state = new.state;
    END;
    CREATE TRIGGER inbox_comes_back AFTER UPDATE OF state ON inbox
        WHEN old.state IN ('dead', 'held', 'quarantined') BEGIN
        UPDATE aside SET messages = messages - 1, bytes = bytes - old.size WHERE state = old.state;
    END;
    CREATE TRIGGER inbox_is_dropped AFTER DELETE ON inbox
        WHEN old.state IN ('dead', 'held', 'quarantined') BEGIN
        UPDATE aside SET messages = messages - 1, bytes = bytes - old.size WHERE state = old.state;
    END;
",
    "
    -- How many parts of a message the relay has, and how long their slices are, where the message is too
    -- long for one.
    ALTER TABLE outbox ADD COLUMN parts INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE outbox ADD COLUMN slice_len INTEGER;
",
    "
    -- Whether a message asks its recipients for receipts, and those that came, which are kept for as long
    -- as they may be repeated.
    ALTER TABLE outbox ADD COLUMN receipt INTEGER NOT NULL DEFAULT 0;
    CREATE TABLE receipts (
        id        TEXT NOT NULL,
        contact   INTEGER NOT NULL,
        outcome   TEXT NOT NULL CHECK (outcome IN ('done', 'failed', 'refused')),
        attempt   INTEGER NOT NULL,
        digest    BLOB NOT NULL CHECK (length(digest) = 32),
        received  INTEGER NOT NULL,
        expires   INTEGER NOT NULL,
        PRIMARY KEY (id, contact)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX receipts_by_expiry ON receipts (expires);
",
    "
    -- The receipts that were sent for others' messages.
    CREATE TABLE answers (
        sender   BLOB NOT NULL CHECK (length(sender) = 32),
        id       BLOB NOT NULL CHECK (length(id) = 16),
        outcome  TEXT NOT NULL CHECK (outcome IN ('done', 'failed', 'refused')),
        attempt  INTEGER NOT NULL,
        digest   BLOB NOT NULL CHECK (length(digest) = 32),
        sent     INTEGER NOT NULL,
        expires  INTEGER NOT NULL,
        PRIMARY KEY (sender, id)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX answers_by_expiry ON answers (expires);
",
    "
    -- Requests whose response a process waits for, or waited for, by the SHA-256 of the correlation id.
    CREATE TABLE calls (
        contact      INTEGER NOT NULL,
        correlation  BLOB NOT NULL CHECK (length(correlation) = 32),
        began        INTEGER NOT NULL,
        expires      INTEGER NOT NULL,
        answered     INTEGER NOT NULL,
        PRIMARY KEY (contact, correlation)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX calls_by_expiry ON calls (expires);
",
    "
    -- Until when a relay wants to be left alone, in milliseconds since the Unix epoch.
    ALTER TABLE relays ADD COLUMN not_before INTEGER;
",
    "
    -- The id of a call's request, for which a receipt may still come when the request has left the outbox.
    ALTER TABLE calls ADD COLUMN message TEXT;
",
    "
    -- The contact that signed a message, where that is more than somebody who wrote first.
    ALTER TABLE inbox ADD COLUMN contact INTEGER;
    CREATE INDEX inbox_aside_by_contact ON inbox (state, contact, number, size)
        WHERE state IN ('dead', 'held', 'quarantined');
",
    "
    -- Whether a message is still to leave, beside each of its addresses: what is before it there is found
    -- however much else waits for receipts.
    ALTER TABLE outbox_recipients ADD COLUMN queued INTEGER NOT NULL DEFAULT 1;
    UPDATE outbox_recipients SET queued =
        (SELECT state = 'queued' FROM outbox WHERE number = message);
    DROP INDEX outbox_by_address;
    CREATE INDEX outbox_recipients_queued ON outbox_recipients (address, message) WHERE queued = 1;
    CREATE TRIGGER outbox_changes_state AFTER UPDATE OF state ON outbox BEGIN
        UPDATE outbox_recipients SET queued = (new.state = 'queued') WHERE message = new.number;
    END;
    CREATE INDEX outbox_overdue ON outbox (relay, due) WHERE state = 'sent';
",
    "
    -- The inbox anew, with the bytes of a message behind what is read without them. SQLite makes a table
    -- for each list of more than two that something is looked up in, and each change of state looked up
    -- seven; so the states are compared one by one.
    CREATE TABLE inbox_anew (
        number     INTEGER PRIMARY KEY AUTOINCREMENT,
        relay      INTEGER NOT NULL REFERENCES relays (id),
        relay_id   TEXT,
        digest     BLOB NOT NULL CHECK (length(digest) = 32),
        sent_at    INTEGER NOT NULL,
        stored_at  INTEGER NOT NULL,
        state      TEXT NOT NULL CHECK (state = 'new' OR state = 'running' OR state = 'done'
                       OR state = 'dead' OR state = 'held' OR state = 'quarantined'),
        reason     TEXT,
        detail     TEXT,
        expires    INTEGER,
        accepted   INTEGER NOT NULL DEFAULT 0,
        counted    INTEGER NOT NULL DEFAULT 0,
        attempt    INTEGER NOT NULL DEFAULT 0,
        due        INTEGER,
        lease      INTEGER,
        claims     INTEGER NOT NULL DEFAULT 0,
        sender     BLOB CHECK (length(sender) = 32),
        mark       BLOB,
        header     BLOB CHECK (length(header) = 32),
        contact    INTEGER,
        size       INTEGER NOT NULL DEFAULT 0,
        raw        BLOB NOT NULL,
        envelope   BLOB,
        UNIQUE (relay, digest)
    ) STRICT;
    INSERT INTO inbox_anew (number, relay, relay_id, digest, sent_at, stored_at, state, reason, detail,
        expires, accepted, counted, attempt, due, lease, claims, sender, mark, header, contact, size, raw,
        envelope)
        SELECT number, relay, relay_id, digest, sent_at, stored_at, state, reason, detail, expires,
        accepted, counted, attempt, due, lease, claims, sender, mark, header, contact, size, raw, envelope
        FROM inbox ORDER BY number;
    -- No number is given twice.
    DELETE FROM sqlite_sequence WHERE name = 'inbox_anew';
    INSERT INTO sqlite_sequence SELECT 'inbox_anew', seq FROM sqlite_sequence WHERE name = 'inbox';
    DROP TABLE inbox;
    ALTER TABLE inbox_anew RENAME TO inbox;
    CREATE INDEX inbox_by_age ON inbox (relay, state, sent_at, number);
    CREATE INDEX inbox_by_relay_id ON inbox (relay_id);
    CREATE INDEX inbox_by_expiry ON inbox (expires) WHERE expires IS NOT NULL;
    CREATE INDEX inbox_by_sender ON inbox (relay, sender) WHERE sender IS NOT NULL;
    CREATE INDEX inbox_by_mark ON inbox (mark) WHERE mark IS NOT NULL;
    CREATE INDEX inbox_to_retry ON inbox (relay, due) WHERE state = 'new' AND attempt > 0;
    CREATE INDEX inbox_aside ON inbox (state, number)
        WHERE state = 'dead' OR state = 'held' OR state = 'quarantined';
    CREATE INDEX inbox_aside_by_contact ON inbox (state, contact, number, size)
        WHERE state = 'dead' OR state = 'held' OR state = 'quarantined';
    CREATE TRIGGER inbox_goes_aside AFTER UPDATE OF state ON inbox
        WHEN new.state = 'dead' OR new.state = 'held' OR new.state = 'quarantined' BEGIN
        UPDATE aside SET messages = messages + 1, bytes = bytes + new.size WHERE state = new.state;
    END;
    CREATE TRIGGER inbox_comes_back AFTER UPDATE OF state ON inbox
        WHEN old.state = 'dead' OR old.state = 'held' OR old.state = 'quarantined' BEGIN
        UPDATE aside SET messages = messages - 1, bytes = bytes - old.size WHERE state = old.state;
    END;
    CREATE TRIGGER inbox_is_dropped AFTER DELETE ON inbox
        WHEN old.state = 'dead' OR old.state = 'held' OR old.state = 'quarantined' BEGIN
        UPDATE aside SET messages = messages - 1, bytes = bytes - old.size WHERE state = old.state;
    END;
",
    "
    -- Only what is to be done has a place: what is done would fill the index, and be written to it once
    -- more.
    DROP INDEX inbox_by_age;
    CREATE INDEX inbox_by_age ON inbox (relay, state, sent_at, number)
        WHERE state = 'new' OR state = 'running';
",
];

/// The newest version of the tables.
pub(super) fn newest() -> i64 {
    i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX)
}

/// Brings the file to the newest version, or refuses one that is newer still.
pub(super) fn migrate(db: &mut Connection, path: &str) -> Result<(), StoreError> {
    migrate_to(newest(), db, path)
}

/// Refuses a file with a newer version than is known here.
pub(super) fn refuse_newer(db: &Connection, path: &Path) -> Result<(), StoreError> {
    let path = path.display();
    let found = version(db).map_err(|error| StoreError::sqlite(&path.to_string(), &error))?;
    let known = newest();
    if found > known {
        let path = path.to_string();
        return Err(StoreError::Newer { path, found, known });
    }
    Ok(())
}

/// Brings the file to this version, or refuses one that is newer.
pub(super) fn migrate_to(known: i64, db: &mut Connection, path: &str) -> Result<(), StoreError> {
    let failed = |error: rusqlite::Error| StoreError::sqlite(path, &error);
    if version(db).map_err(failed)? == known {
        return Ok(());
    }
    // Checked again under the lock: another process may be migrating at the same moment.
    let transaction = db
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(failed)?;
    let found = version(&transaction).map_err(failed)?;
    if found > known {
        return Err(StoreError::Newer {
            path: path.to_owned(),
            found,
            known,
        });
    }
    let place = |version: i64| usize::try_from(version).unwrap_or(0);
    for step in MIGRATIONS.iter().take(place(known)).skip(place(found)) {
        transaction.execute_batch(step).map_err(failed)?;
    }
    transaction
        .pragma_update(None, "user_version", known)
        .map_err(failed)?;
    transaction.commit().map_err(failed)
}

pub(super) fn version(db: &Connection) -> rusqlite::Result<i64> {
    db.prepare_cached("PRAGMA user_version")?
        .query_row([], |row| row.get(0))
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    use super::{migrate, migrate_to};

    #[test]
    fn the_inbox_is_the_same_after_it_was_made_anew() {
        let mut db = Connection::open_in_memory().unwrap();
        migrate_to(19, &mut db, "").unwrap();
        db.execute_batch(
            "INSERT INTO relays (id, url) VALUES (1, 'https://relay.example');
             INSERT INTO inbox (relay, digest, sent_at, stored_at, state, size, raw, envelope)
             SELECT 1, randomblob(32), value, value, 'new', 5, randomblob(100), randomblob(9)
             FROM json_each('[1, 2, 3, 4, 5, 6, 7, 8]');
             UPDATE inbox SET state = 'running', lease = 7, claims = 2, sender = randomblob(32),
                 mark = randomblob(48), header = randomblob(32) WHERE number = 2;
             UPDATE inbox SET state = 'done', expires = 9 WHERE number = 3;
             UPDATE inbox SET state = 'dead', reason = 'handler', detail = 'it failed', contact = 3,
                 attempt = 8 WHERE number = 4;
             UPDATE inbox SET state = 'held' WHERE number = 5;
             UPDATE inbox SET state = 'quarantined' WHERE number IN (6, 7);
             DELETE FROM inbox WHERE number = 8;",
        )
        .unwrap();
        let before = (inbox(&db), aside(&db));
        migrate(&mut db, "").unwrap();
        assert_eq!((inbox(&db), aside(&db)), before);

        db.execute_batch(
            "INSERT INTO inbox (relay, digest, sent_at, stored_at, state, raw)
             VALUES (1, randomblob(32), 1, 1, 'new', x'');
             UPDATE inbox SET state = 'new' WHERE state = 'held';
             UPDATE inbox SET state = 'dead' WHERE state = 'running';
             DELETE FROM inbox WHERE number = 6;",
        )
        .unwrap();
        let newest: i64 = db
            .query_row("SELECT max(number) FROM inbox", [], |row| row.get(0))
            .unwrap();
        assert_eq!(newest, 9, "a number was given twice");
        assert_eq!(
            aside(&db),
            ["dead 2 10", "held 0 0", "quarantined 1 5"].map(str::to_owned)
        );
        db.execute("UPDATE inbox SET state = 'lost'", [])
            .unwrap_err();
    }

    /// A table for one statement costs as much as all the rest of it.
    #[test]
    fn no_change_of_a_message_needs_a_table_of_its_own() {
        let mut db = Connection::open_in_memory().unwrap();
        migrate(&mut db, "").unwrap();
        let change = "UPDATE inbox SET state = 'running', raw = x'', sender = ?1, mark = ?2
                      WHERE number = ?3 AND state = 'new'";
        let mut explained = db.prepare(&format!("EXPLAIN {change}")).unwrap();
        let mut rows = explained.raw_query();
        let mut opened = 0;
        while let Some(row) = rows.next().unwrap() {
            let operation: String = row.get(1).unwrap();
            assert_ne!(operation, "OpenEphemeral");
            opened += i32::from(operation == "OpenWrite");
        }
        assert!(opened > 0);
    }

    fn aside(db: &Connection) -> Vec<String> {
        let totals = "SELECT state || ' ' || messages || ' ' || bytes FROM aside ORDER BY state";
        texts(db, totals)
    }

    fn inbox(db: &Connection) -> Vec<String> {
        texts(
            db,
            "SELECT json_array(number, relay, relay_id, hex(digest), sent_at, stored_at, state, reason,
             detail, expires, accepted, counted, attempt, due, lease, claims, hex(sender), hex(mark),
             hex(header), contact, size, hex(raw), hex(envelope)) FROM inbox ORDER BY number",
        )
    }

    fn texts(db: &Connection, query: &str) -> Vec<String> {
        let mut query = db.prepare(query).unwrap();
        let rows = query.query_map([], |row| row.get(0)).unwrap();
        rows.map(Result::unwrap).collect()
    }
}
