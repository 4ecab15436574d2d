//! The `keyring` store against a real Secret Service.
//!
//! Each test runs itself again in a process of its own, inside a D-Bus session and a home folder
//! that exist for this test alone: a process has one keyring, chosen by its environment.
//! Needs `dbus-run-session`, `dbus-send` and `gnome-keyring-daemon`.

// A failed expectation is what a test is for.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic
)]

use std::env;
use std::fs::{self, DirBuilder};
use std::io::Read;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305};
use ctalk::core::envelope::{self, Envelope, Metadata, OpenError};
use ctalk::core::{Card, Identity, Timestamp};
use ctalk::keystore::{Keystore, KeystoreError, Kind, PassphraseSource, Secrets, default_kind};
use ctalk::{Profile, Retired, Rotated};
use tempfile::TempDir;
use zeroize::Zeroizing;

const INSIDE: &str = "CTALK_TEST_INSIDE";
const IDENTITY: &str = r#"{"secretKey":"IDENTITY-SECRET"}"#;

/// Runs `body` in a session whose keyring is unlocked.
fn with_unlocked_keyring(test: &str, body: fn()) {
    let unlock = "printf password | gnome-keyring-daemon --unlock --components=secrets >/dev/null";
    in_session(test, unlock, body);
}

/// Runs `body` in a session where nobody has ever logged in, so that there is no collection.
fn with_empty_keyring(test: &str, body: fn()) {
    in_session(test, "true", body);
}

fn in_session(test: &str, prepare: &str, body: fn()) {
    if env::var_os(INSIDE).is_some() {
        return body();
    }
    for tool in ["dbus-run-session", "dbus-send", "gnome-keyring-daemon"] {
        if Command::new(tool).arg("--version").output().is_err() {
            assert!(env::var_os("CI").is_none(), "{tool} is missing");
            eprintln!("SKIPPED {test}: {tool} is missing");
            return;
        }
    }
    let home = TempDir::new().unwrap();
    let mut command = Command::new("dbus-run-session");
    command
        .args(["--", "sh", "-c"])
        .arg(format!("{prepare} && exec \"$0\" \"$@\""))
        .arg(env::current_exe().unwrap());
    run(command, test, home.path());
    // The daemon ends with its session. Its control socket closes when it is gone.
    if let Ok(mut daemon) = UnixStream::connect(home.path().join("run/keyring/control")) {
        daemon
            .set_read_timeout(Some(Duration::from_secs(30)))
            .unwrap();
        if let Err(error) = daemon.read_to_end(&mut Vec::new()) {
            assert_ne!(
                error.kind(),
                std::io::ErrorKind::WouldBlock,
                "still running"
            );
        }
    }
}

/// Runs `body` where the session bus is whatever `listen` puts at a path.
fn with_bus(test: &str, listen: fn(&Path) -> Option<UnixListener>, body: fn()) {
    if env::var_os(INSIDE).is_some() {
        return body();
    }
    let home = TempDir::new().unwrap();
    let path = home.path().join("bus");
    let _listener = listen(&path);
    let mut command = Command::new(env::current_exe().unwrap());
    command.env(
        "DBUS_SESSION_BUS_ADDRESS",
        format!("unix:path={}", path.display()),
    );
    run(command, test, home.path());
}

/// Runs `command`, which starts this program again for one test.
fn run(mut command: Command, test: &str, home: &Path) {
    for (variable, folder) in [
        ("HOME", "home"),
        ("XDG_RUNTIME_DIR", "run"),
        ("XDG_DATA_HOME", "data"),
    ] {
        let folder = home.join(folder);
        DirBuilder::new().mode(0o700).create(&folder).unwrap();
        command.env(variable, folder);
    }
    for variable in ["DISPLAY", "WAYLAND_DISPLAY", "GNOME_KEYRING_CONTROL"] {
        command.env_remove(variable);
    }
    let output = command
        .args(["--exact", test, "--nocapture"])
        .env(INSIDE, "1")
        .output()
        .unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && stdout.contains("1 passed"),
        "{stdout}\n{stderr}"
    );
}

fn secret_service(method: &str, argument: &str) -> String {
    let output = Command::new("dbus-send")
        .args([
            "--session",
            "--print-reply",
            "--dest=org.freedesktop.secrets",
        ])
        .arg("/org/freedesktop/secrets")
        .arg(format!("org.freedesktop.Secret.Service.{method}"))
        .arg(argument)
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    String::from_utf8(output.stdout).unwrap()
}

fn lock() {
    let collection = "/org/freedesktop/secrets/collection/login";
    let reply = secret_service("Lock", &format!("array:objpath:{collection}"));
    assert!(reply.contains(collection), "{reply}");
}

/// How many entries of ctalk the keyring holds.
fn entries() -> usize {
    secret_service("SearchItems", "dict:string:string:service,ctalk")
        .matches("object path")
        .count()
}

fn secrets() -> Secrets {
    Secrets::new(Zeroizing::new(IDENTITY.to_owned()))
}

fn create(folder: &Path) -> Result<Keystore, KeystoreError> {
    Keystore::create(folder, Kind::Keyring, PassphraseSource::None, &secrets())
}

fn open(folder: &Path) -> Result<(Keystore, Secrets), KeystoreError> {
    Keystore::open(folder, Kind::Keyring, PassphraseSource::None)
}

/// The keyring entry that the store's file names.
fn entry(folder: &Path) -> keyring::Entry {
    let file = fs::read(folder.join("keys.sealed")).unwrap();
    assert_eq!(file[..10], *b"ctalkkey\x01\x02");
    keyring::Entry::new("ctalk", &hex::encode(&file[10..26])).unwrap()
}

#[test]
fn what_was_created_is_what_opens() {
    with_unlocked_keyring("what_was_created_is_what_opens", || {
        let dir = TempDir::new().unwrap();
        let folder = dir.path().join("profile");
        let set = |store: &Keystore, key: &str| {
            let key = Zeroizing::new(key.to_owned());
            store
                .update(|secrets| secrets.set_api_key("relay", key))
                .unwrap()
        };
        set(&create(&folder).unwrap(), "first");
        let (store, secrets) = open(&folder).unwrap();
        assert_eq!(secrets.identity(), IDENTITY);
        assert_eq!(secrets.api_key("relay"), Some("first"));
        assert_eq!(set(&store, "second").api_key("relay"), Some("second"));
        assert_eq!(open(&folder).unwrap().1.api_key("relay"), Some("second"));
        assert_eq!(entries(), 1);
        let file = fs::read(folder.join("keys.sealed")).unwrap();
        assert!(!file.windows(6).any(|window| window == b"SECRET"));
    });
}

#[test]
fn two_stores_have_two_keys() {
    with_unlocked_keyring("two_stores_have_two_keys", || {
        let (first, second) = (TempDir::new().unwrap(), TempDir::new().unwrap());
        let (first, second) = (first.path().join("same"), second.path().join("same"));
        create(&first).unwrap();
        create(&second).unwrap();
        assert_eq!(entries(), 2);
        let key = |folder| entry(folder).get_password().unwrap();
        assert_ne!(key(&first), key(&second));
        open(&first).unwrap();
        open(&second).unwrap();
    });
}

#[test]
fn a_deleted_entry_is_told_from_an_absent_keyring() {
    with_unlocked_keyring("a_deleted_entry_is_told_from_an_absent_keyring", || {
        let dir = TempDir::new().unwrap();
        let folder = dir.path().join("profile");
        create(&folder).unwrap();
        entry(&folder).delete_credential().unwrap();
        let error = open(&folder).unwrap_err();
        assert!(
            matches!(error, KeystoreError::KeyringEntryMissing { .. }),
            "{error:?}"
        );
    });
}

#[test]
fn an_entry_with_another_key_opens_nothing() {
    with_unlocked_keyring("an_entry_with_another_key_opens_nothing", || {
        let dir = TempDir::new().unwrap();
        let folder = dir.path().join("profile");
        create(&folder).unwrap();
        for not_a_key in ["", "?", "bm90IGEga2V5"] {
            entry(&folder).set_password(not_a_key).unwrap();
            let error = open(&folder).unwrap_err();
            assert!(
                matches!(error, KeystoreError::KeyringEntryMissing { .. }),
                "{error:?}"
            );
        }
        let other = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
        entry(&folder).set_password(other).unwrap();
        let error = open(&folder).unwrap_err();
        assert!(matches!(error, KeystoreError::Damaged { .. }), "{error:?}");
        assert!(!format!("{error:?} {error}").contains("AAAA"), "{error:?}");
    });
}

#[test]
fn a_create_that_fails_leaves_no_entry() {
    with_unlocked_keyring("a_create_that_fails_leaves_no_entry", || {
        let dir = TempDir::new().unwrap();
        let folder = dir.path().join("profile");
        // Cannot be a folder, and is found out only when the entry has been made.
        std::os::unix::fs::symlink(dir.path().join("nowhere"), &folder).unwrap();
        let error = create(&folder).unwrap_err();
        assert!(matches!(error, KeystoreError::Io { .. }), "{error:?}");
        assert_eq!(entries(), 0);
    });
}

#[test]
fn an_unlocked_keyring_is_the_default_and_choosing_leaves_no_entry() {
    let test = "an_unlocked_keyring_is_the_default_and_choosing_leaves_no_entry";
    with_unlocked_keyring(test, || {
        assert_eq!(default_kind(), Kind::Keyring);
        assert_eq!(entries(), 0);
    });
}

#[test]
fn a_locked_keyring_that_nobody_unlocks_is_an_error_and_not_the_default() {
    let test = "a_locked_keyring_that_nobody_unlocks_is_an_error_and_not_the_default";
    with_unlocked_keyring(test, || {
        let dir = TempDir::new().unwrap();
        let (folder, other) = (dir.path().join("profile"), dir.path().join("other"));
        create(&folder).unwrap();
        lock();
        for error in [open(&folder).unwrap_err(), create(&other).unwrap_err()] {
            assert!(
                matches!(error, KeystoreError::KeyringLocked { .. }),
                "{error:?}"
            );
            assert!(error.hint().unwrap().contains("--key-store file"));
        }
        assert!(!other.exists());
        assert_eq!(default_kind(), Kind::File);
    });
}

#[test]
fn a_handle_that_is_open_needs_the_keyring_no_more() {
    with_unlocked_keyring("a_handle_that_is_open_needs_the_keyring_no_more", || {
        let dir = TempDir::new().unwrap();
        let folder = dir.path().join("profile");
        create(&folder).unwrap();
        let (store, _) = open(&folder).unwrap();
        lock();
        store.update(|_| ()).unwrap();
    });
}

/// When the keys of these tests are made.
fn now() -> Timestamp {
    Timestamp::from_millis(1_800_000_000_000).unwrap()
}

fn rng() -> rand_core::UnwrapErr<getrandom::SysRng> {
    rand_core::UnwrapErr(getrandom::SysRng)
}

/// A store of an identity that has an X-Wing key.
fn with_key(folder: &Path) -> (Keystore, Card) {
    let secrets = Secrets::new(Identity::generate(&mut rng()).to_keygen_json());
    let store = Keystore::create(folder, Kind::Keyring, PassphraseSource::None, &secrets).unwrap();
    let card = rotate(folder, &store, Retired::Keep).unwrap().card;
    (store, card)
}

fn rotate(folder: &Path, store: &Keystore, retired: Retired) -> Result<Rotated, ctalk::Error> {
    let profile = Profile::begin(folder, "bob", Kind::Keyring).unwrap();
    ctalk::rotate(&profile, store, retired, now())
}

fn opens(sealed: &[u8], secrets: &Secrets) -> Result<(), OpenError> {
    let verified = Envelope::parse(sealed).unwrap().verify().unwrap();
    verified.open(&secrets.unlock().unwrap(), now()).map(|_| ())
}

/// Opens a keyring store's file with a key, whichever entry the file names.
fn decrypt(file: &[u8], key: &[u8]) -> Option<Vec<u8>> {
    let (header, ciphertext) = file.split_at(8 + 1 + 1 + 16 + 24);
    let nonce = header.last_chunk::<24>().unwrap();
    let payload = Payload {
        msg: ciphertext,
        aad: header,
    };
    let cipher = XChaCha20Poly1305::new(key.try_into().unwrap());
    cipher.decrypt(nonce.into(), payload).ok()
}

#[test]
fn a_destroyed_key_does_not_come_back_from_a_copy_of_the_file() {
    let test = "a_destroyed_key_does_not_come_back_from_a_copy_of_the_file";
    with_unlocked_keyring(test, || {
        let dir = TempDir::new().unwrap();
        let folder = dir.path().join("profile");
        let (store, card) = with_key(&folder);
        let alice = Identity::generate(&mut rng());
        let sealed = envelope::seal(
            &alice,
            [&card],
            &Metadata::new(envelope::Kind::Notification, "text/plain"),
            b"secret",
            now(),
            now().checked_add(Duration::from_secs(1)).unwrap(),
            &mut rng(),
        )
        .unwrap();
        let path = folder.join("keys.sealed");
        rotate(&folder, &store, Retired::Keep).unwrap();
        let copy = fs::read(&path).unwrap();
        let former = entry(&folder).get_password().unwrap();
        opens(&sealed, &open(&folder).unwrap().1).unwrap();
        assert!(decrypt(&copy, &STANDARD.decode(&former).unwrap()).is_some());

        let rotated = rotate(&folder, &store, Retired::Destroy).unwrap();
        assert_eq!(rotated.destroyed, 2);
        let (_, secrets) = open(&folder).unwrap();
        assert_eq!(opens(&sealed, &secrets), Err(OpenError::NotForMe));
        assert_eq!(secrets.unlock().unwrap().xwing_keys().count(), 1);
        // The one key that the keyring holds opens the new file and not the copy.
        assert_eq!(entries(), 1);
        let left = STANDARD
            .decode(entry(&folder).get_password().unwrap())
            .unwrap();
        assert!(decrypt(&fs::read(&path).unwrap(), &left).is_some());
        assert_eq!(decrypt(&copy, &left), None);
        fs::write(&path, copy).unwrap();
        let error = open(&folder).unwrap_err();
        assert!(
            matches!(error, KeystoreError::KeyringEntryMissing { .. }),
            "{error:?}"
        );
    });
}

#[test]
fn an_open_handle_follows_the_store_to_its_new_key() {
    with_unlocked_keyring("an_open_handle_follows_the_store_to_its_new_key", || {
        let dir = TempDir::new().unwrap();
        let folder = dir.path().join("profile");
        let (handle, _) = with_key(&folder);
        let (other, _) = open(&folder).unwrap();
        let rotated = rotate(&folder, &other, Retired::Destroy).unwrap();
        let card = rotated.card.to_text();
        assert_eq!(handle.read().unwrap().card(), Some(card.as_str()));
        let key = Zeroizing::new("key".to_owned());
        handle
            .update(|secrets| secrets.set_api_key("relay", key))
            .unwrap();
        rotate(&folder, &handle, Retired::Destroy).unwrap();
        let (_, secrets) = open(&folder).unwrap();
        assert_eq!(secrets.api_key("relay"), Some("key"));
        assert_eq!(entries(), 1);
    });
}

#[test]
fn a_destruction_that_fails_leaves_the_store_as_it_was() {
    let test = "a_destruction_that_fails_leaves_the_store_as_it_was";
    with_unlocked_keyring(test, || {
        let dir = TempDir::new().unwrap();
        let folder = dir.path().join("profile");
        let (store, card) = with_key(&folder);
        let is_as_it_was = || {
            let (_, secrets) = open(&folder).unwrap();
            assert_eq!(secrets.card(), Some(card.to_text().as_str()));
            assert_eq!(entries(), 1);
        };
        // Where the new file has to go first.
        fs::create_dir(folder.join("keys.new")).unwrap();
        rotate(&folder, &store, Retired::Destroy).unwrap_err();
        is_as_it_was();
        fs::remove_dir(folder.join("keys.new")).unwrap();
        // A crash before the file was replaced leaves an entry that opens nothing.
        keyring::Entry::new("ctalk", "00000000000000000000000000000000")
            .unwrap()
            .set_password("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=")
            .unwrap();
        rotate(&folder, &store, Retired::Destroy).unwrap();
        open(&folder).unwrap();
        assert_eq!(entries(), 2);
    });
}

#[test]
fn a_locked_keyring_puts_a_destruction_off() {
    with_unlocked_keyring("a_locked_keyring_puts_a_destruction_off", || {
        let dir = TempDir::new().unwrap();
        let folder = dir.path().join("profile");
        let (store, _) = with_key(&folder);
        let before = fs::read(folder.join("keys.sealed")).unwrap();
        lock();
        let error = rotate(&folder, &store, Retired::Destroy).unwrap_err();
        assert!(
            matches!(
                error,
                ctalk::Error::Keystore(KeystoreError::KeyringLocked { .. })
            ),
            "{error:?}"
        );
        assert_eq!(fs::read(folder.join("keys.sealed")).unwrap(), before);
        // Rotating alone needs no new key in the keyring.
        rotate(&folder, &store, Retired::Keep).unwrap();
    });
}

#[test]
fn a_keyring_without_a_collection_is_an_error_and_not_the_default() {
    let test = "a_keyring_without_a_collection_is_an_error_and_not_the_default";
    with_empty_keyring(test, || {
        let dir = TempDir::new().unwrap();
        let error = create(&dir.path().join("profile")).unwrap_err();
        assert!(
            matches!(error, KeystoreError::KeyringLocked { .. }),
            "{error:?}"
        );
        assert_eq!(default_kind(), Kind::File);
    });
}

#[test]
fn an_absent_keyring_is_an_error_and_not_the_default() {
    let test = "an_absent_keyring_is_an_error_and_not_the_default";
    with_bus(test, |_| None, keyring_is_unavailable);
}

/// Takes as long as a keyring is given to answer.
#[test]
fn a_keyring_that_never_answers_is_an_error_and_not_the_default() {
    let test = "a_keyring_that_never_answers_is_an_error_and_not_the_default";
    let silent = |path: &Path| Some(UnixListener::bind(path).unwrap());
    with_bus(test, silent, keyring_is_unavailable);
}

fn keyring_is_unavailable() {
    let dir = TempDir::new().unwrap();
    let folder = dir.path().join("profile");
    let error = create(&folder).unwrap_err();
    assert!(
        matches!(error, KeystoreError::KeyringUnavailable { .. }),
        "{error:?}"
    );
    assert!(error.hint().unwrap().contains("--key-store file"));
    assert!(!folder.exists());
    assert_eq!(default_kind(), Kind::File);
}
