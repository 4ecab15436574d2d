//! The key stores that need nothing but a folder: `file` and `plain`.

// A failed expectation is what a test is for.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic
)]

use std::fs::{self, File, Permissions};
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::thread;

use argon2::{Algorithm, Argon2, Params, Version};
use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305};
use ctalk::keystore::{
    Keystore, KeystoreError, Kind, Passphrase, PassphraseSource, Prompt, Secrets,
};
use tempfile::TempDir;
use zeroize::Zeroizing;

const IDENTITY: &str = r#"{"secretKey":"IDENTITY-SECRET"}"#;
const API_KEY: &str = "API-KEY-SECRET";
const RELAY: &str = "https://relay.example";
const PASSPHRASE: &str = "PASSPHRASE-SECRET";

/// The smallest secrets there can be.
const SMALL_JSON: &[u8] = br#"{"version":1,"identity":{},"apiKeys":{}}"#;

/// One MiB in the unit of Argon2id's memory.
const MIB: u32 = 1024;

fn text(value: &str) -> Zeroizing<String> {
    Zeroizing::new(value.to_owned())
}

fn given(passphrase: &str) -> PassphraseSource<'static> {
    PassphraseSource::Given(Passphrase::new(text(passphrase)).unwrap())
}

fn secrets() -> Secrets {
    let mut secrets = Secrets::new(text(IDENTITY));
    secrets.set_api_key(RELAY, text(API_KEY));
    secrets
}

/// A folder that does not exist yet.
fn fresh() -> (TempDir, PathBuf) {
    let dir = TempDir::new().unwrap();
    let folder = dir.path().join("profile");
    (dir, folder)
}

fn create(folder: &Path, kind: Kind) -> Result<Keystore, KeystoreError> {
    Keystore::create(folder, kind, given(PASSPHRASE), &secrets())
}

fn open(folder: &Path, kind: Kind) -> Result<(Keystore, Secrets), KeystoreError> {
    Keystore::open(folder, kind, given(PASSPHRASE))
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn file_of(kind: Kind) -> &'static str {
    match kind {
        Kind::Plain => "keys.plain.json",
        Kind::File | Kind::Keyring => "keys.sealed",
    }
}

/// Puts `bytes` where a store's file belongs, as its owner would.
fn put(folder: &Path, name: &str, bytes: &[u8]) {
    if !folder.exists() {
        fs::create_dir(folder).unwrap();
        fs::set_permissions(folder, Permissions::from_mode(0o700)).unwrap();
    }
    let path = folder.join(name);
    fs::write(&path, bytes).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
}

/// A sealed file of kind `file`, made from the description of the format alone. Its header names
/// the given parameters; its key is made with the weakest that are allowed.
fn sealed_by_hand(memory_kib: u32, passes: u32, lanes: u32, json: &[u8]) -> Vec<u8> {
    let salt = [7; 16];
    let nonce = [9; 24];
    let mut file = b"ctalkkey\x01\x01".to_vec();
    for number in [memory_kib, passes, lanes] {
        file.extend_from_slice(&number.to_be_bytes());
    }
    file.extend_from_slice(&salt);
    file.extend_from_slice(&nonce);
    let mut key = [0; 32];
    let params = Params::new(8 * MIB, 1, 1, Some(32)).unwrap();
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(PASSPHRASE.as_bytes(), &salt, &mut key)
        .unwrap();
    let payload = Payload {
        msg: json,
        aad: &file,
    };
    let ciphertext = XChaCha20Poly1305::new(&key.into())
        .encrypt(&nonce.into(), payload)
        .unwrap();
    file.extend_from_slice(&ciphertext);
    file
}

fn small_sealed() -> Vec<u8> {
    sealed_by_hand(8 * MIB, 1, 1, SMALL_JSON)
}

#[test]
fn what_was_created_is_what_opens() {
    for kind in [Kind::File, Kind::Plain] {
        let (_dir, folder) = fresh();
        create(&folder, kind).unwrap();
        let (_, secrets) = open(&folder, kind).unwrap();
        assert_eq!(secrets.identity(), IDENTITY);
        assert_eq!(secrets.api_key(RELAY), Some(API_KEY));
        assert_eq!(secrets.api_key("https://other.example"), None);
    }
}

#[test]
fn any_text_survives_as_api_key_and_relay() {
    let odd = "quote \" backslash \\ newline \n nul \0 umlaut \u{fc} \u{1f511}";
    let (_dir, folder) = fresh();
    let mut secrets = Secrets::new(text(IDENTITY));
    secrets.set_api_key(odd, text(odd));
    Keystore::create(&folder, Kind::Plain, PassphraseSource::None, &secrets).unwrap();
    let (_, read) = open(&folder, Kind::Plain).unwrap();
    assert_eq!(read.api_key(odd), Some(odd));
}

#[test]
fn folder_and_files_are_closed_to_others() {
    for kind in [Kind::File, Kind::Plain] {
        let (_dir, folder) = fresh();
        create(&folder, kind).unwrap();
        assert_eq!(mode(&folder), 0o700);
        for name in names(&folder) {
            assert_eq!(mode(&folder.join(&name)), 0o600, "{name}");
        }
    }
}

#[test]
fn a_sealed_file_shows_none_of_its_secrets() {
    let (_dir, folder) = fresh();
    create(&folder, Kind::File).unwrap();
    let bytes = fs::read(folder.join("keys.sealed")).unwrap();
    for secret in ["IDENTITY-SECRET", API_KEY, PASSPHRASE, RELAY] {
        let found = bytes
            .windows(secret.len())
            .any(|window| window == secret.as_bytes());
        assert!(!found, "{secret} is readable");
    }
}

#[test]
fn existing_keys_of_either_kind_are_never_overwritten() {
    for first in [Kind::File, Kind::Plain] {
        let (_dir, folder) = fresh();
        create(&folder, first).unwrap();
        let (names_before, before) = (
            names(&folder),
            fs::read(folder.join(file_of(first))).unwrap(),
        );
        for second in [Kind::File, Kind::Plain, Kind::Keyring] {
            let error = create(&folder, second).unwrap_err();
            assert!(
                matches!(error, KeystoreError::AlreadyExists { .. }),
                "{error:?}"
            );
        }
        assert_eq!(fs::read(folder.join(file_of(first))).unwrap(), before);
        assert_eq!(names(&folder), names_before);
    }
}

#[test]
fn a_dangling_link_counts_as_existing_keys() {
    let (_dir, folder) = fresh();
    put(&folder, "other", b"");
    std::os::unix::fs::symlink(folder.join("nowhere"), folder.join("keys.sealed")).unwrap();
    let error = create(&folder, Kind::Plain).unwrap_err();
    assert!(
        matches!(error, KeystoreError::AlreadyExists { .. }),
        "{error:?}"
    );
}

#[test]
fn of_concurrent_creations_one_succeeds_and_its_keys_stay() {
    let (_dir, folder) = fresh();
    let winners = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for number in ["1", "2", "3", "4", "5", "6", "7", "8"] {
            let (folder, winners) = (&folder, &winners);
            scope.spawn(move || {
                let mut secrets = Secrets::new(text(IDENTITY));
                secrets.set_api_key(RELAY, text(number));
                match Keystore::create(folder, Kind::Plain, PassphraseSource::None, &secrets) {
                    Ok(_) => winners.lock().unwrap().push(number),
                    Err(KeystoreError::AlreadyExists { .. }) => {}
                    Err(error) => panic!("{error:?}"),
                }
            });
        }
    });
    let winners = winners.into_inner().unwrap();
    assert_eq!(winners.len(), 1);
    let (_, secrets) = open(&folder, Kind::Plain).unwrap();
    assert_eq!(secrets.api_key(RELAY), Some(winners[0]));
}

#[test]
fn a_wrong_passphrase_is_refused() {
    let (_dir, folder) = fresh();
    create(&folder, Kind::File).unwrap();
    let error = Keystore::open(&folder, Kind::File, given("another")).unwrap_err();
    assert!(
        matches!(error, KeystoreError::WrongPassphrase { .. }),
        "{error:?}"
    );
    assert!(error.hint().unwrap().contains("--passphrase-file FILE"));
}

#[test]
fn no_passphrase_is_refused_and_creates_nothing() {
    let (_dir, folder) = fresh();
    let none = PassphraseSource::None;
    let error = Keystore::create(&folder, Kind::File, none, &secrets()).unwrap_err();
    assert!(
        matches!(error, KeystoreError::PassphraseMissing),
        "{error:?}"
    );
    assert!(error.hint().unwrap().contains("CTALK_PASSPHRASE_FILE"));
    assert!(!folder.exists());

    create(&folder, Kind::File).unwrap();
    let error = Keystore::open(&folder, Kind::File, PassphraseSource::None).unwrap_err();
    assert!(
        matches!(error, KeystoreError::PassphraseMissing),
        "{error:?}"
    );
}

#[test]
fn a_person_is_asked_once_and_told_whether_the_passphrase_is_new() {
    let (_dir, folder) = fresh();
    let mut asked = Vec::new();
    let mut ask = |prompt| {
        asked.push(prompt);
        Passphrase::new(text(PASSPHRASE))
    };
    let source = PassphraseSource::Ask(&mut ask);
    let store = Keystore::create(&folder, Kind::File, source, &secrets()).unwrap();
    store.update(|_| ()).unwrap();
    let (store, _) = Keystore::open(&folder, Kind::File, PassphraseSource::Ask(&mut ask)).unwrap();
    store.update(|_| ()).unwrap();
    assert_eq!(asked, [Prompt::New, Prompt::Existing]);
}

#[test]
fn the_plain_kind_asks_nobody() {
    let (_dir, folder) = fresh();
    let mut ask = |_| panic!("asked");
    let source = PassphraseSource::Ask(&mut ask);
    Keystore::create(&folder, Kind::Plain, source, &secrets()).unwrap();
    Keystore::open(&folder, Kind::Plain, PassphraseSource::Ask(&mut ask)).unwrap();
}

#[test]
fn a_passphrase_file_is_read_without_its_line_end() {
    let (_dir, folder) = fresh();
    put(&folder, "keys.sealed", &small_sealed());
    let open_with = |line_end: &str| {
        put(
            &folder,
            "passphrase",
            format!("{PASSPHRASE}{line_end}").as_bytes(),
        );
        let passphrase = Passphrase::read_file(&folder.join("passphrase")).unwrap();
        Keystore::open(&folder, Kind::File, PassphraseSource::Given(passphrase))
    };
    for line_end in ["", "\n", "\r\n"] {
        open_with(line_end).unwrap();
    }
    for more in ["\n\n", " \n", "\nsecond line\n"] {
        let error = open_with(more).unwrap_err();
        assert!(
            matches!(error, KeystoreError::WrongPassphrase { .. }),
            "{error:?}"
        );
    }
}

#[test]
fn an_unusable_passphrase_file_is_refused_by_reason() {
    let (_dir, folder) = fresh();
    let read = |bytes: &[u8]| {
        put(&folder, "passphrase", bytes);
        Passphrase::read_file(&folder.join("passphrase"))
    };
    for empty in [&b""[..], b"\n", b"\r\n"] {
        assert!(matches!(read(empty), Err(KeystoreError::PassphraseEmpty)));
    }
    assert!(matches!(
        read(b"\xff"),
        Err(KeystoreError::PassphraseFile { .. })
    ));
    assert!(read(&[b'x'; Passphrase::MAX_LEN]).is_ok());
    let long = read(&[b'x'; Passphrase::MAX_LEN + 1]);
    assert!(matches!(long, Err(KeystoreError::PassphraseFile { .. })));
    let missing = Passphrase::read_file(&folder.join("missing"));
    assert!(matches!(missing, Err(KeystoreError::Io { .. })));
}

#[test]
fn a_file_made_from_the_description_of_the_format_opens() {
    let (_dir, folder) = fresh();
    put(&folder, "keys.sealed", &small_sealed());
    let (_, secrets) = open(&folder, Kind::File).unwrap();
    assert_eq!(secrets.identity(), "{}");
}

#[test]
fn every_strict_prefix_of_a_sealed_file_is_refused() {
    let file = small_sealed();
    let (_dir, folder) = fresh();
    for len in 0..file.len() {
        put(&folder, "keys.sealed", &file[..len]);
        // The header ends with the nonce, at byte 62.
        match open(&folder, Kind::File).unwrap_err() {
            KeystoreError::Damaged { .. } if len < 62 => {}
            KeystoreError::WrongPassphrase { .. } if len >= 62 => {}
            other => panic!("{len} bytes: {other:?}"),
        }
    }
}

#[test]
fn every_single_byte_change_of_a_sealed_file_is_refused() {
    let file = small_sealed();
    let (_dir, folder) = fresh();
    for index in 0..file.len() {
        let mut changed = file.clone();
        changed[index] ^= 1;
        put(&folder, "keys.sealed", &changed);
        assert!(
            open(&folder, Kind::File).is_err(),
            "byte {index} may be changed"
        );
    }
}

#[test]
fn a_trailing_byte_is_refused() {
    let (_dir, folder) = fresh();
    put(
        &folder,
        "keys.sealed",
        &[&small_sealed()[..], b"\0"].concat(),
    );
    let error = open(&folder, Kind::File).unwrap_err();
    assert!(
        matches!(error, KeystoreError::WrongPassphrase { .. }),
        "{error:?}"
    );

    let (_dir, folder) = fresh();
    put(&folder, "keys.plain.json", &[SMALL_JSON, b"{}"].concat());
    let error = open(&folder, Kind::Plain).unwrap_err();
    assert!(matches!(error, KeystoreError::Damaged { .. }), "{error:?}");
}

#[test]
fn argon2_parameters_out_of_range_are_refused_before_anything_is_asked_or_hashed() {
    let (_dir, folder) = fresh();
    let out_of_range = [
        (8 * MIB - 1, 1, 1),
        (256 * MIB + 1, 1, 1),
        (u32::MAX, 1, 1),
        (8 * MIB, 0, 1),
        (8 * MIB, 9, 1),
        (8 * MIB, u32::MAX, 1),
        (8 * MIB, 1, 0),
        (8 * MIB, 1, 5),
        (0, 0, 0),
    ];
    for (memory_kib, passes, lanes) in out_of_range {
        put(
            &folder,
            "keys.sealed",
            &sealed_by_hand(memory_kib, passes, lanes, SMALL_JSON),
        );
        let mut ask = |_| panic!("asked for {memory_kib} KiB, {passes} passes, {lanes} lanes");
        let source = PassphraseSource::Ask(&mut ask);
        let error = Keystore::open(&folder, Kind::File, source).unwrap_err();
        assert!(
            matches!(error, KeystoreError::ParamsOutOfRange { .. }),
            "{error:?}"
        );
    }
}

#[test]
fn new_files_use_64_mib_3_passes_and_1_lane() {
    let (_dir, folder) = fresh();
    create(&folder, Kind::File).unwrap();
    let file = fs::read(folder.join("keys.sealed")).unwrap();
    assert_eq!(
        file[10..22],
        [64 * MIB, 3, 1].map(u32::to_be_bytes).concat()
    );
}

#[test]
fn a_newer_version_is_told_from_damage() {
    let (_dir, folder) = fresh();
    let mut file = small_sealed();
    file[8] = 2;
    put(&folder, "keys.sealed", &file);
    put(
        &folder,
        "keys.plain.json",
        br#"{"version":2,"moved":{"elsewhere":1}}"#,
    );
    for kind in [Kind::File, Kind::Plain] {
        let error = open(&folder, kind).unwrap_err();
        assert!(
            matches!(error, KeystoreError::NewerVersion { version: 2, .. }),
            "{error:?}"
        );
        assert_eq!(error.hint().unwrap(), "update ctalk");
    }
}

#[test]
fn what_is_not_the_json_of_a_key_store_is_damaged() {
    for json in [
        &b""[..],
        b"{}",
        b"[]",
        b"\xff",
        br#"{"version":0,"identity":{},"apiKeys":{}}"#,
        br#"{"version":1,"identity":{}}"#,
        br#"{"version":1,"identity":{},"apiKeys":{"a":1}}"#,
        br#"{"version":1,"identity":{},"apiKeys":{},"more":1}"#,
    ] {
        for (kind, content) in [
            (Kind::Plain, json.to_vec()),
            (Kind::File, sealed_by_hand(8 * MIB, 1, 1, json)),
        ] {
            let (_dir, folder) = fresh();
            put(&folder, file_of(kind), &content);
            let error = open(&folder, kind).unwrap_err();
            assert!(matches!(error, KeystoreError::Damaged { .. }), "{error:?}");
        }
    }
}

#[test]
fn a_file_of_another_kind_is_named_as_such() {
    let (_dir, folder) = fresh();
    put(&folder, "keys.sealed", &small_sealed());
    let error = open(&folder, Kind::Keyring).unwrap_err();
    assert!(
        matches!(
            error,
            KeystoreError::WrongKind {
                asked: Kind::Keyring,
                found: Kind::File,
                ..
            }
        ),
        "{error:?}"
    );
    assert_eq!(error.hint().unwrap(), "use `--key-store file`");
}

#[test]
fn a_file_over_one_mib_is_refused_unread() {
    let (_dir, folder) = fresh();
    for kind in [Kind::File, Kind::Plain] {
        put(&folder, file_of(kind), b"");
        let file = File::options()
            .write(true)
            .open(folder.join(file_of(kind)))
            .unwrap();
        file.set_len(1 << 40).unwrap();
        let error = open(&folder, kind).unwrap_err();
        assert!(
            matches!(
                error,
                KeystoreError::Damaged {
                    what: "it is over 1 MiB",
                    ..
                }
            ),
            "{error:?}"
        );
    }
}

#[test]
fn secrets_that_could_not_be_read_again_are_not_written() {
    let large = format!("\"{}\"", "x".repeat(1 << 20));
    for identity in ["", "no JSON", "{} {}", &large] {
        let (_dir, folder) = fresh();
        let secrets = Secrets::new(text(identity));
        let none = PassphraseSource::None;
        let error = Keystore::create(&folder, Kind::Plain, none, &secrets).unwrap_err();
        assert!(
            matches!(error, KeystoreError::UnusableSecrets { .. }),
            "{error:?}"
        );
        assert!(!folder.exists());
    }
}

#[test]
fn the_largest_secrets_that_can_be_written_can_be_read() {
    let (_dir, folder) = fresh();
    put(&folder, "keys.sealed", &small_sealed());
    let (store, _) = open(&folder, Kind::File).unwrap();
    let identity = |len| format!("\"{}\"", "x".repeat(len));
    // Found by trying, so that the test does not repeat how the limit is reckoned.
    let fits = |len| {
        let written = store.update(|secrets| *secrets = Secrets::new(text(&identity(len))));
        written.is_ok()
    };
    let (mut least, mut most) = (0_usize, 1 << 20);
    while most - least > 1 {
        let middle = least.midpoint(most);
        if fits(middle) {
            least = middle
        } else {
            most = middle
        }
    }
    assert!(fits(least) && !fits(least + 1));
    assert!(least > (1 << 20) - 1024);
    assert_eq!(
        open(&folder, Kind::File).unwrap().1.identity(),
        identity(least)
    );
}

#[test]
fn nothing_there_is_missing() {
    let (_dir, folder) = fresh();
    for kind in [Kind::File, Kind::Plain, Kind::Keyring] {
        let error = open(&folder, kind).unwrap_err();
        assert!(matches!(error, KeystoreError::Missing { .. }), "{error:?}");
        assert!(error.hint().unwrap().contains("ctalk keygen"));
    }
}

#[test]
fn a_file_open_to_others_is_refused_with_the_command_that_closes_it() {
    for kind in [Kind::File, Kind::Plain] {
        let (_dir, folder) = fresh();
        let store = create(&folder, kind).unwrap();
        let path = folder.join(file_of(kind));
        let closing = format!("run `chmod 600 {}`", path.display());
        for mode in [0o640, 0o604, 0o620, 0o601] {
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            let error = open(&folder, kind).unwrap_err();
            assert!(
                matches!(error, KeystoreError::UnsafePermissions { .. }),
                "{error:?}"
            );
            assert_eq!(error.hint().unwrap(), closing);
        }
        let error = store.update(|_| ()).unwrap_err();
        assert!(
            matches!(error, KeystoreError::UnsafePermissions { .. }),
            "{error:?}"
        );
        fs::set_permissions(&path, Permissions::from_mode(0o400)).unwrap();
        open(&folder, kind).unwrap();
    }
}

#[test]
fn a_folder_open_to_others_is_refused_with_the_command_that_closes_it() {
    let (_dir, folder) = fresh();
    let store = create(&folder, Kind::Plain).unwrap();
    put(&folder, "keys.sealed", &small_sealed());
    fs::set_permissions(&folder, Permissions::from_mode(0o750)).unwrap();
    for error in [
        open(&folder, Kind::File).unwrap_err(),
        open(&folder, Kind::Plain).unwrap_err(),
        store.update(|_| ()).unwrap_err(),
    ] {
        assert!(
            matches!(error, KeystoreError::UnsafePermissions { .. }),
            "{error:?}"
        );
        assert_eq!(
            error.hint().unwrap(),
            format!("run `chmod 700 {}`", folder.display())
        );
    }

    let (_dir, other) = fresh();
    fs::create_dir(&other).unwrap();
    fs::set_permissions(&other, Permissions::from_mode(0o755)).unwrap();
    let error = create(&other, Kind::Plain).unwrap_err();
    assert!(
        matches!(error, KeystoreError::UnsafePermissions { .. }),
        "{error:?}"
    );
    assert_eq!(names(&other), Vec::<String>::new());
}

#[test]
fn an_update_is_kept_and_returned() {
    for kind in [Kind::File, Kind::Plain] {
        let (_dir, folder) = fresh();
        let store = create(&folder, kind).unwrap();
        let updated = store
            .update(|secrets| secrets.set_api_key("https://second.example", text("second")))
            .unwrap();
        for secrets in [updated, open(&folder, kind).unwrap().1] {
            assert_eq!(secrets.identity(), IDENTITY);
            assert_eq!(secrets.api_key(RELAY), Some(API_KEY));
            assert_eq!(secrets.api_key("https://second.example"), Some("second"));
        }
    }
}

#[test]
fn every_write_has_a_fresh_nonce_and_every_store_a_fresh_salt() {
    let read = |folder: &Path| fs::read(folder.join("keys.sealed")).unwrap();
    let (_dir, folder) = fresh();
    let store = create(&folder, Kind::File).unwrap();
    let first = read(&folder);
    store.update(|_| ()).unwrap();
    let second = read(&folder);
    assert_eq!(first[..38], second[..38]);
    assert_ne!(first[38..62], second[38..62]);
    assert_ne!(first[62..], second[62..]);

    let (_dir, folder) = fresh();
    create(&folder, Kind::File).unwrap();
    assert_ne!(first[22..38], read(&folder)[22..38]);
}

#[test]
fn an_update_replaces_the_file_and_never_writes_into_it() {
    let (_dir, folder) = fresh();
    let store = create(&folder, Kind::Plain).unwrap();
    let path = folder.join("keys.plain.json");
    let before = fs::read(&path).unwrap();
    let mut reader = File::open(&path).unwrap();
    store
        .update(|secrets| secrets.set_api_key(RELAY, text("another")))
        .unwrap();
    let mut seen = Vec::new();
    reader.read_to_end(&mut seen).unwrap();
    assert_eq!(seen, before);
    assert_ne!(fs::read(&path).unwrap(), before);
}

#[test]
fn an_update_leaves_no_other_file_behind_and_clears_an_interrupted_one() {
    let (_dir, folder) = fresh();
    let store = create(&folder, Kind::Plain).unwrap();
    put(&folder, "keys.new", b"half written");
    store.update(|_| ()).unwrap();
    assert_eq!(names(&folder), ["keys.lock", "keys.plain.json"]);
    open(&folder, Kind::Plain).unwrap();
}

#[test]
fn an_update_that_cannot_be_written_leaves_the_file_as_it_was() {
    let (_dir, folder) = fresh();
    let store = create(&folder, Kind::Plain).unwrap();
    let before = fs::read(folder.join("keys.plain.json")).unwrap();
    let error = store
        .update(|secrets| *secrets = Secrets::new(text("no JSON")))
        .unwrap_err();
    assert!(
        matches!(error, KeystoreError::UnusableSecrets { .. }),
        "{error:?}"
    );
    fs::create_dir(folder.join("keys.new")).unwrap();
    let error = store
        .update(|secrets| secrets.set_api_key("a", text("b")))
        .unwrap_err();
    assert!(
        matches!(
            error,
            KeystoreError::Io {
                action: "write",
                ..
            }
        ),
        "{error:?}"
    );
    assert_eq!(fs::read(folder.join("keys.plain.json")).unwrap(), before);
}

#[test]
fn concurrent_updates_lose_nothing() {
    let (_dir, folder) = fresh();
    create(&folder, Kind::Plain).unwrap();
    thread::scope(|scope| {
        for writer in 0..4 {
            let folder = &folder;
            scope.spawn(move || {
                let (store, _) = open(folder, Kind::Plain).unwrap();
                for turn in 0..25 {
                    let relay = format!("{writer}-{turn}");
                    store
                        .update(|secrets| secrets.set_api_key(&relay, text("key")))
                        .unwrap();
                }
            });
        }
    });
    let (_, secrets) = open(&folder, Kind::Plain).unwrap();
    for writer in 0..4 {
        for turn in 0..25 {
            let relay = format!("{writer}-{turn}");
            assert_eq!(secrets.api_key(&relay), Some("key"), "{relay} was lost");
        }
    }
}

#[test]
fn a_store_that_was_made_anew_meanwhile_is_not_overwritten() {
    let (_dir, folder) = fresh();
    let store = create(&folder, Kind::File).unwrap();
    put(&folder, "keys.sealed", &small_sealed());
    let error = store.update(|_| ()).unwrap_err();
    assert!(matches!(error, KeystoreError::Replaced { .. }), "{error:?}");
    assert_eq!(
        fs::read(folder.join("keys.sealed")).unwrap(),
        small_sealed()
    );
}

#[test]
fn neither_debug_nor_errors_show_a_secret() {
    let (_dir, folder) = fresh();
    let store = create(&folder, Kind::File).unwrap();
    let passphrase = Passphrase::new(text(PASSPHRASE)).unwrap();
    put(
        &folder,
        "keys.plain.json",
        b"{\"version\":1,\"identity\":SECRET}",
    );
    put(&folder, "passphrase", b"SECRET\xff");
    let errors = [
        Keystore::open(&folder, Kind::File, given("GUESS-SECRET")).unwrap_err(),
        store
            .update(|secrets| *secrets = Secrets::new(text("SECRET is not JSON")))
            .unwrap_err(),
        open(&folder, Kind::Plain).unwrap_err(),
        Passphrase::read_file(&folder.join("passphrase")).unwrap_err(),
    ];
    let mut shown = vec![
        format!("{store:?}"),
        format!("{:?}", secrets()),
        format!("{passphrase:?}"),
    ];
    shown.extend(errors.map(|error| format!("{error:?} {error} {:?}", error.hint())));
    for text in shown {
        assert!(!text.contains("SECRET"), "{text}");
    }
}

#[test]
fn a_kind_reads_as_it_is_written() {
    for kind in [Kind::Keyring, Kind::File, Kind::Plain] {
        assert_eq!(kind.to_string().parse::<Kind>().unwrap(), kind);
    }
    for text in ["", "File", "plain ", "none"] {
        assert!(text.parse::<Kind>().is_err());
    }
}
