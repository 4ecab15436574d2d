//! Identities at rest.

use std::{fs, os::unix::fs::PermissionsExt};

use serde_json::Value;
use snapbox::str;

use crate::support::{Sandbox, lines, names_in, on_a_terminal, shell, stderr, text};

const PASSPHRASE: &str = "correct horse battery staple";

#[test]
fn a_passphrase_file_opens_a_sealed_store() {
    let sandbox = Sandbox::with(&["bob"]);
    let right = sandbox.file("right", format!("{PASSPHRASE}\n"));
    let wrong = sandbox.file("wrong", "incorrect horse");
    sandbox
        .run(
            "alice",
            &[
                "keygen",
                "--name",
                "alice",
                "--key-store",
                "file",
                "--passphrase-file",
                &right,
            ],
        )
        .success();
    sandbox
        .run("alice", &["whoami"])
        .code(8)
        .stdout_eq("")
        .stderr_eq(str![[r#"
error: the key store needs a passphrase and none was given
hint: give it with `--passphrase-file FILE` or CTALK_PASSPHRASE_FILE

"#]]);
    sandbox
        .run("alice", &["whoami", "--passphrase-file", &wrong])
        .code(8)
        .stdout_eq("")
        .stderr_eq(str![[r#"
error: the passphrase does not open [..]/keys.sealed: it is wrong, or the file was altered
hint: check what `--passphrase-file FILE` or CTALK_PASSPHRASE_FILE names

"#]]);
    sandbox
        .run("alice", &["whoami", "--passphrase-file", "/no/such/file"])
        .code(8);
    let command = || {
        sandbox
            .command("alice")
            .env("CTALK_PASSPHRASE_FILE", &right)
            .stdin("")
    };
    let admin_key = sandbox.at("admin-key");
    let register = [
        "register",
        "--relay",
        &sandbox.relay.url(),
        "--admin-key",
        &admin_key,
    ];
    sandbox.finish(command().args(register)).success();
    sandbox
        .finish(command().args(["send", "bob", "sealed keys"]))
        .success();
    assert_eq!(sandbox.json("bob", &["recv"])[0]["payload"], "sealed keys");
    for name in names_in(&sandbox.profile("alice")) {
        let bytes = fs::read(sandbox.profile("alice").join(&name)).unwrap();
        assert!(
            !String::from_utf8_lossy(&bytes).contains("ct_"),
            "an API key lies open in {name}"
        );
    }
}

#[test]
fn a_person_at_a_terminal_is_asked_for_the_passphrase() {
    let sandbox = Sandbox::new();
    let keygen = "keygen --name alice --key-store file";
    let typed = format!("{PASSPHRASE}\nanother\n{PASSPHRASE}\n{PASSPHRASE}\n");
    let shown = on_a_terminal(&sandbox, "alice", keygen, false, &typed);
    assert!(shown.contains("They differ, once more."), "{shown}");
    let shown = on_a_terminal(
        &sandbox,
        "alice",
        "whoami",
        false,
        &format!("{PASSPHRASE}\n"),
    );
    assert!(shown.contains("Passphrase of the key store: "), "{shown}");
    assert!(shown.contains("name                 alice"), "{shown}");
}

#[test]
fn the_key_store_is_chosen_without_a_keyring_too() {
    let sandbox = Sandbox::new();
    let passphrase = sandbox.file("passphrase", PASSPHRASE);
    sandbox
        .run("alice", &["keygen", "--name", "alice"])
        .code(8)
        .stdout_eq("");
    assert!(!sandbox.profile("alice").join("profile.toml").exists());
    let output = sandbox.run(
        "alice",
        &[
            "keygen",
            "--name",
            "alice",
            "--passphrase-file",
            &passphrase,
            "--json",
        ],
    );
    assert_eq!(lines(&output.success())[0]["keyStore"], "file");
    sandbox
        .run(
            "bob",
            &["keygen", "--name", "bob", "--key-store", "keyring"],
        )
        .code(8)
        .stdout_eq("");
    sandbox
        .run("bob", &["keygen", "--name", "bob", "--key-store", "vault"])
        .code(2)
        .stdout_eq("");
}

#[test]
fn keygen_never_overwrites() {
    let sandbox = Sandbox::with(&["alice"]);
    let before = fs::read(sandbox.profile("alice").join("keys.plain.json")).unwrap();
    sandbox
        .run(
            "alice",
            &["keygen", "--name", "other", "--key-store", "plain"],
        )
        .code(2)
        .stdout_eq("")
        .stderr_eq(str![[r#"
error: there is already an identity, `alice`, in [..]/home/alice
hint: another identity needs another profile: --profile OTHER

"#]]);
    fs::remove_file(sandbox.profile("alice").join("profile.toml")).unwrap();
    sandbox
        .run(
            "alice",
            &["keygen", "--name", "other", "--key-store", "plain"],
        )
        .code(8);
    assert_eq!(
        fs::read(sandbox.profile("alice").join("keys.plain.json")).unwrap(),
        before
    );
}

#[test]
fn a_profile_without_an_identity_says_how_to_make_one() {
    let sandbox = Sandbox::new();
    for command in [
        &["whoami"][..],
        &["agents"],
        &["send", "bob", "x"],
        &["recv"],
        &["inbox", "list"],
        &["contact", "list"],
        &["verify"],
    ] {
        sandbox
            .run("nobody", command)
            .code(8)
            .stdout_eq("")
            .stderr_eq(str![[r#"
error: there is no identity in [..]/home/nobody
hint: make one: ctalk keygen --name NAME

"#]]);
    }
    assert!(!sandbox.profile("nobody").exists());
}

#[test]
fn a_store_that_others_can_read_is_refused() {
    let sandbox = Sandbox::with(&["alice"]);
    let file = sandbox.profile("alice").join("keys.plain.json");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    sandbox
        .run("alice", &["whoami"])
        .code(8)
        .stdout_eq("")
        .stderr_eq(str![[r#"
error: [..]/keys.plain.json is open to other users (mode 644)
hint: run `chmod 600 [..]/keys.plain.json`

"#]]);
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    fs::set_permissions(sandbox.profile("alice"), fs::Permissions::from_mode(0o755)).unwrap();
    sandbox.run("alice", &["whoami"]).code(8);
}

#[test]
fn a_store_that_a_newer_ctalk_wrote_is_told_from_damage() {
    let sandbox = Sandbox::with(&["alice"]);
    let folder = sandbox.profile("alice");
    let plain = folder.join("keys.plain.json");
    let mut store: Value = serde_json::from_slice(&fs::read(&plain).unwrap()).unwrap();
    store["version"] = 9.into();
    store["more"] = "of it".into();
    let whole = fs::read(&plain).unwrap();
    fs::write(&plain, store.to_string()).unwrap();
    let newer = |name: &str| {
        let output = sandbox.run("alice", &["whoami"]).code(8).stdout_eq("");
        output.stderr_eq(format!(
            "error: [..]/{name} has format version 9, newer than this ctalk knows\nhint: update ctalk\n"
        ));
    };
    newer("keys.plain.json");
    fs::write(&plain, whole).unwrap();
    let passphrase = sandbox.file("passphrase", PASSPHRASE);
    let passwd = ["passwd", "--key-store", "file", "--new-passphrase-file"];
    sandbox
        .run("alice", &[&passwd[..], &[&passphrase]].concat())
        .success();
    let sealed = folder.join("keys.sealed");
    let mut bytes = fs::read(&sealed).unwrap();
    bytes[8] = 9;
    fs::write(&sealed, bytes).unwrap();
    newer("keys.sealed");
}

#[test]
fn processes_that_change_the_store_at_once_lose_nothing() {
    let sandbox = Sandbox::new();
    sandbox
        .run(
            "alice",
            &["keygen", "--name", "alice", "--key-store", "plain"],
        )
        .success();
    // Each finds no card and makes one with a new key; the first one's is everybody's.
    let running: Vec<_> = (0..8).map(|_| sandbox.start("alice", &["card"])).collect();
    let cards: std::collections::BTreeSet<_> = running
        .into_iter()
        .map(|process| {
            let (status, printed, _) = process.end();
            assert!(status.success());
            printed
        })
        .collect();
    assert_eq!(cards.len(), 1);
    let store = fs::read(sandbox.profile("alice").join("keys.plain.json")).unwrap();
    let store: Value = serde_json::from_slice(&store).unwrap();
    let cards: Vec<_> = cards.into_iter().flatten().collect();
    assert_eq!(cards, [text(&store["xwing"]["card"])]);
    assert!(store["retired"].is_null(), "a key was made and replaced");
}

#[test]
#[cfg(target_os = "linux")]
fn a_running_process_leaves_no_core_dump() {
    let sandbox = Sandbox::with(&["alice", "bob"]);
    let running = sandbox.start("alice", &["recv", "--follow"]);
    sandbox.run("bob", &["send", "alice", "it runs"]).success();
    running.line();
    let folder = format!("/proc/{}", running.id());
    let limits = fs::read_to_string(format!("{folder}/limits")).unwrap();
    let core = limits
        .lines()
        .find(|line| line.starts_with("Max core file size"));
    let columns: Vec<_> = core.unwrap().split_whitespace().collect();
    assert_eq!(columns[4..], ["0", "0", "bytes"], "{limits}");
    // What nobody may look into belongs to root, whoever runs it. Its environment shows that.
    let owner =
        std::os::unix::fs::MetadataExt::uid(&fs::metadata(format!("{folder}/environ")).unwrap());
    assert_eq!(owner, 0);
}

#[test]
fn private_files_are_made_for_their_owner_alone() {
    let sandbox = Sandbox::with(&["alice", "bob"]);
    sandbox.run("alice", &["send", "bob", "x"]).success();
    sandbox.run("alice", &["recv"]).success();
    let mode = |path: &std::path::Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&sandbox.profile("alice")), 0o700);
    assert_eq!(
        mode(&sandbox.profile("alice").join("keys.plain.json")),
        0o600
    );
}

#[test]
fn keys_of_clawtalk_are_imported_as_they_are() {
    let sandbox = Sandbox::new();
    // Not recorded: this output is meant to hold secrets.
    let keys = crate::support::ctalk()
        .args(["keygen", "--clawtalk"])
        .output()
        .unwrap()
        .stdout;
    let file = sandbox.file("keys", &keys);
    let keys: Value = serde_json::from_slice(&keys).unwrap();
    let members: Vec<_> = keys
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    assert_eq!(
        members,
        ["privateKey", "publicKey", "signingKey", "signingPrivateKey"]
    );
    let import = [
        "keygen",
        "--name",
        "alice",
        "--key-store",
        "plain",
        "--import",
        &file,
        "--json",
    ];
    let made = lines(&sandbox.run("alice", &import).success()).remove(0);
    for member in ["publicKey", "signingKey"] {
        assert_eq!(made[member], keys[member]);
    }
    let store = fs::read(sandbox.profile("alice").join("keys.plain.json")).unwrap();
    let store: Value = serde_json::from_slice(&store).unwrap();
    assert_eq!(store["identity"], keys);
    assert!(
        !sandbox.path("home").join("default").exists(),
        "--clawtalk touches no profile"
    );
}

#[test]
fn what_is_no_key_file_is_refused_without_repeating_it() {
    let sandbox = Sandbox::with(&["bob"]);
    let store = fs::read(sandbox.profile("bob").join("keys.plain.json")).unwrap();
    let mut keys = serde_json::from_slice::<Value>(&store).unwrap()["identity"].clone();
    let secret = text(&keys["privateKey"]).to_owned();
    keys["publicKey"] = keys["signingKey"].clone();
    for content in [
        keys.to_string().into_bytes(),
        format!("{{\"privateKey\": \"{secret}\"}}").into_bytes(),
        secret.clone().into_bytes(),
        b"\xff\xfe".to_vec(),
        vec![b' '; 5000],
        Vec::new(),
    ] {
        let file = sandbox.file("keys", content);
        let import = [
            "keygen",
            "--name",
            "alice",
            "--key-store",
            "plain",
            "--import",
            &file,
        ];
        let output = sandbox.run("alice", &import).code(10).stdout_eq("");
        assert!(!stderr(&output).contains(&secret));
        assert!(!sandbox.profile("alice").exists());
    }
}

#[test]
fn a_full_disk_leaves_no_half_identity() {
    let sandbox = Sandbox::new();
    let full = r#"trap "" XFSZ; ulimit -f 0; exec "$@""#;
    let keygen = ["keygen", "--name", "alice", "--key-store", "plain"];
    sandbox
        .finish(shell(&sandbox, "alice", full, &keygen).stdin(""))
        .code(8)
        .stdout_eq("");
    sandbox.run("alice", &keygen).success();
}

#[test]
fn a_damaged_profile_is_refused_by_file_and_reason() {
    let sandbox = Sandbox::with(&["alice"]);
    let settings = sandbox.profile("alice").join("profile.toml");
    for content in [
        "name = 7",
        "name = \"alice\"\nkey-store = \"vault\"",
        "= =",
        "\u{0}",
    ] {
        fs::write(&settings, content).unwrap();
        let output = sandbox.run("alice", &["whoami"]).code(8).stdout_eq("");
        let talk = stderr(&output);
        assert!(
            talk.starts_with("error: ") && talk.contains("profile.toml"),
            "{talk}"
        );
    }
}

#[test]
fn profiles_live_in_the_platforms_data_folder_unless_told_otherwise() {
    let sandbox = Sandbox::new();
    let home = sandbox.path("someone");
    let mut command = crate::support::ctalk();
    command.env("HOME", &home);
    command.args(["keygen", "--name", "alice", "--key-store", "plain"]);
    assert!(command.output().unwrap().status.success());
    assert!(
        home.join(".local/share/ctalk/default/profile.toml")
            .exists()
    );
}
