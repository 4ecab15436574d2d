//! `ctalk export` and `ctalk import`.

use std::{fs, os::unix::fs::PermissionsExt};

use serde_json::Value;
use snapbox::str;

use crate::support::{PATIENCE, Sandbox, lines, names_in, shell, stderr, text};

/// An export of the profile `alice`, and the file of its passphrase.
struct Export {
    file: String,
    passphrase: String,
}

impl Export {
    fn of_alice(sandbox: &Sandbox, options: &[&str]) -> Self {
        let export = Self {
            file: sandbox.path("alice.export").display().to_string(),
            passphrase: sandbox.file("export-passphrase", "of the export\n"),
        };
        let args = ["export", "-o", &export.file];
        let args = [&args, &export.passphrase()[..], options].concat();
        sandbox.run("alice", &args).success();
        export
    }

    fn passphrase(&self) -> [&str; 2] {
        ["--export-passphrase-file", &self.passphrase]
    }

    /// The arguments that import it with a plain key store.
    fn import(&self) -> Vec<&str> {
        let args = ["import", self.file.as_str(), "--key-store", "plain"];
        [&args[..], &self.passphrase()].concat()
    }
}

fn field(sandbox: &Sandbox, profile: &str, args: &[&str], name: &str) -> Value {
    sandbox.json(profile, args)[0][name].clone()
}

#[test]
fn identity_contacts_and_policy_move_and_messages_do_not() {
    let sandbox = Sandbox::with(&["alice", "bob", "carol"]);
    sandbox.run("alice", &["send", "bob", "one"]).success();
    sandbox.run("alice", &["send", "carol", "two"]).success();
    sandbox.run("bob", &["send", "alice", "waits"]).success();
    sandbox.run("alice", &["recv"]).success();
    let policy = "# nobody but bob\n";
    fs::write(sandbox.profile("alice").join("policy.toml"), policy).unwrap();

    let export = Export::of_alice(&sandbox, &[]);
    let mode = fs::metadata(&export.file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let output = sandbox.run("moved", &export.import()).success();
    output
        .stdout_eq("imported alice and 2 contacts into the profile moved\n")
        .stderr_eq(str![[r#"
warning: one identity on two machines is unsupported: do not use the other one any more
hint: publish the key to seal to from now on (ctalk card --publish), and write to those who wait

"#]]);

    for member in ["name", "fingerprint", "publicKey", "signingKey", "relay"] {
        let of = |profile: &str| field(&sandbox, profile, &["whoami"], member);
        assert_eq!(of("moved"), of("alice"), "{member}");
    }
    let contacts = |profile: &str| sandbox.json(profile, &["contact", "list"]);
    assert_eq!(contacts("moved").len(), 2);
    assert_eq!(contacts("moved"), contacts("alice"));
    let shown = |profile: &str| sandbox.json(profile, &["contact", "show", "bob"]);
    assert_eq!(shown("moved"), shown("alice"));
    let moved = sandbox.profile("moved");
    assert_eq!(
        fs::read_to_string(moved.join("policy.toml")).unwrap(),
        policy
    );
    let mode = |name: &str| moved.join(name).metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(""), 0o700);
    for name in names_in(&moved) {
        assert_eq!(mode(&name), 0o600, "{name}");
    }
    // Its API key came along, and its next message tells which key to seal to now.
    sandbox.run("moved", &["card", "--publish"]).success();
    sandbox.run("moved", &["send", "bob", "moved"]).success();
    assert_eq!(sandbox.json("bob", &["recv"])[0]["from"], "alice");
    sandbox
        .run("bob", &["send", "alice", "for the new one"])
        .success();
    let received = sandbox.json("moved", &["recv"]);
    assert_eq!(received.len(), 1);
    assert_eq!(received[0]["payload"], "for the new one");
    assert_eq!(received[0]["from"], "bob");
}

#[test]
fn keys_that_envelopes_are_sealed_to_move_only_when_asked_for() {
    for (options, opened) in [(&[][..], false), (&["--with-sealing-keys"][..], true)] {
        let sandbox = Sandbox::with(&["alice", "bob"]);
        sandbox
            .run("bob", &["send", "alice", "under way"])
            .success();
        let export = Export::of_alice(&sandbox, options);
        sandbox.run("moved", &export.import()).success();
        let store = fs::read(sandbox.profile("moved").join("keys.plain.json")).unwrap();
        let original = fs::read(sandbox.profile("alice").join("keys.plain.json")).unwrap();
        let of = |store: &[u8]| serde_json::from_slice::<Value>(store).unwrap()["xwing"].clone();
        assert!(of(&original).is_object());
        assert_eq!(of(&store) == of(&original), opened);
        let output = sandbox.run("moved", &["recv", "--json"]);
        if opened {
            assert_eq!(lines(&output.success())[0]["payload"], "under way");
        } else {
            assert!(lines(&output.code(9)).is_empty());
        }
    }
}

#[test]
fn an_export_shows_nothing_without_its_passphrase() {
    let sandbox = Sandbox::with(&["alice", "bob"]);
    sandbox.run("alice", &["send", "bob", "x"]).success();
    let export = Export::of_alice(&sandbox, &["--with-sealing-keys"]);
    let bytes = fs::read(&export.file).unwrap();
    assert_eq!(bytes[..10], *b"ctalkexp\x01\x01");
    assert!(bytes[10..].starts_with(&[0, 1, 0, 0, 0, 0, 0, 3, 0, 0, 0, 1]));
    for word in ["alice", "bob", "identity", "ct_"] {
        let shown = String::from_utf8_lossy(&bytes);
        assert!(!shown.contains(word), "{word}");
    }
    fs::remove_file(&export.file).unwrap();
    Export::of_alice(&sandbox, &["--with-sealing-keys"]);
    let other = fs::read(&export.file).unwrap();
    assert_ne!(bytes[22..38], other[22..38], "the salt");
    assert_ne!(bytes[38..62], other[38..62], "the nonce");

    let wrong = sandbox.file("wrong", "not of the export");
    let args = ["import", &export.file, "--key-store", "plain"];
    sandbox
        .run("moved", &[&args[..], &["--export-passphrase-file", &wrong]].concat())
        .code(4)
        .stdout_eq("")
        .stderr_eq(str![[r#"
error: the passphrase does not open [..]/alice.export: it is wrong, or the file was altered
hint: check what `--export-passphrase-file FILE` names; it is the export's passphrase, not the key store's

"#]]);
    sandbox
        .run("moved", &args)
        .code(8)
        .stdout_eq("")
        .stderr_eq(str![[r#"
error: the key store needs a passphrase and none was given
hint: name a file that holds the export's on one line: `--export-passphrase-file FILE`

"#]]);
    assert!(!sandbox.profile("moved").exists());
}

#[test]
fn a_file_that_is_no_whole_export_is_refused_by_reason_and_leaves_nothing() {
    let sandbox = Sandbox::with(&["alice"]);
    let export = Export::of_alice(&sandbox, &[]);
    let whole = fs::read(&export.file).unwrap();
    let altered = |place: usize, byte: u8| {
        let mut bytes = whole.clone();
        bytes[place] = byte;
        bytes
    };
    let key_store = {
        let keys = altered(7, b'y');
        [b"ctalkkey", &keys[8..]].concat()
    };
    let huge_memory = {
        let mut bytes = whole.clone();
        bytes[10..14].copy_from_slice(&u32::MAX.to_be_bytes());
        bytes
    };
    for (content, code, complaint, hint) in [
        (
            Vec::new(),
            10,
            "is no export of ctalk",
            "ctalk export -o FILE",
        ),
        (
            b"PK\x03\x04".to_vec(),
            10,
            "is no export of ctalk",
            "ctalk export",
        ),
        (key_store, 10, "is no export of ctalk", "ctalk export"),
        (whole[..20].to_vec(), 10, "it is truncated", "export again"),
        (
            whole[..whole.len() - 1].to_vec(),
            4,
            "wrong, or the file was altered",
            "export's",
        ),
        (
            [&whole[..], b"x"].concat(),
            4,
            "the file was altered",
            "export's",
        ),
        (
            altered(30, !whole[30]),
            4,
            "the file was altered",
            "export's",
        ),
        (
            altered(70, !whole[70]),
            4,
            "the file was altered",
            "export's",
        ),
        (altered(8, 9), 10, "has format version 9", "update ctalk"),
        (altered(9, 2), 10, "it names no passphrase", "export again"),
        (huge_memory, 10, "out of range", "export again"),
    ] {
        fs::write(&export.file, &content).unwrap();
        let output = sandbox
            .run("moved", &export.import())
            .code(code)
            .stdout_eq("");
        let talk = stderr(&output);
        assert!(talk.contains(complaint) && talk.contains(hint), "{talk}");
        assert_eq!(names_in(&sandbox.path("home")), ["alice"]);
    }
    fs::remove_file(&export.file).unwrap();
    sandbox.run("moved", &export.import()).code(2).stdout_eq("");
}

#[test]
fn an_import_never_touches_a_folder_that_holds_anything() {
    let sandbox = Sandbox::with(&["alice", "bob"]);
    let export = Export::of_alice(&sandbox, &[]);
    let keys = sandbox.profile("bob").join("keys.plain.json");
    let before = fs::read(&keys).unwrap();
    // Somebody else's export does not become part of bob, and neither does alice's of herself.
    for profile in ["bob", "alice"] {
        sandbox
            .run(profile, &export.import())
            .code(2)
            .stdout_eq("")
            .stderr_eq(str![[r#"
error: there is already an identity, `[..]`, in [..]
hint: another identity needs another profile: --profile OTHER

"#]]);
    }
    // Keys without settings are an identity that was only damaged.
    fs::remove_file(sandbox.profile("bob").join("profile.toml")).unwrap();
    sandbox
        .run("bob", &export.import())
        .code(2)
        .stdout_eq("")
        .stderr_eq(str![[r#"
error: [..]/home/bob exists, and nothing is overwritten
hint: name another one, or move this one away

"#]]);
    assert_eq!(fs::read(&keys).unwrap(), before);
    fs::create_dir(sandbox.profile("empty")).unwrap();
    sandbox.run("empty", &export.import()).success();
    sandbox.run("empty", &["whoami"]).success();
}

#[test]
fn an_export_never_overwrites_and_is_whole_or_not_there() {
    let sandbox = Sandbox::with(&["alice"]);
    let passphrase = sandbox.file("passphrase", "x");
    let file = sandbox.file("there", "something");
    let args = |out| ["export", "-o", out, "--export-passphrase-file", &passphrase];
    let run = |out| sandbox.run("alice", &args(out));
    run(&file).code(2).stdout_eq("").stderr_eq(str![[r#"
error: [..]/there exists, and nothing is overwritten
hint: name another one, or move this one away

"#]]);
    assert_eq!(fs::read(&file).unwrap(), b"something");
    let nowhere = sandbox.path("nowhere/export").display().to_string();
    run(&nowhere).code(2).stdout_eq("");
    let out = sandbox.path("full").display().to_string();
    // Enough for the store, too little for an export with this policy.
    let policy = "#".repeat(1_000_000);
    fs::write(sandbox.profile("alice").join("policy.toml"), policy).unwrap();
    let full = r#"trap "" XFSZ; ulimit -f 1000; exec "$@""#;
    let files = names_in(sandbox.folder.path());
    sandbox
        .finish(shell(&sandbox, "alice", full, &args(&out)).stdin(""))
        .code(2)
        .stdout_eq("");
    assert_eq!(names_in(sandbox.folder.path()), files);
}

#[test]
fn an_import_that_is_killed_leaves_nothing_or_a_profile_that_works() {
    let sandbox = Sandbox::with(&["alice", "bob"]);
    sandbox.run("alice", &["send", "bob", "x"]).success();
    let export = Export::of_alice(&sandbox, &[]);
    let staging = sandbox.profile(".moved.import");
    let names = ["store.sqlite", "keys.plain.json", "profile.toml"];
    for name in names {
        let process = sandbox.start("moved", &export.import());
        let begin = std::time::Instant::now();
        while !staging.join(name).exists() && !sandbox.profile("moved").exists() {
            assert!(begin.elapsed() < PATIENCE, "the import does not begin");
            std::thread::yield_now();
        }
        process.signal(rustix::process::Signal::KILL);
        process.end();
        if sandbox.profile("moved").exists() {
            sandbox.run("moved", &["whoami"]).success();
            assert_eq!(sandbox.json("moved", &["contact", "list"]).len(), 1);
            fs::remove_dir_all(sandbox.profile("moved")).unwrap();
        } else {
            sandbox.run("moved", &["whoami"]).code(8);
        }
    }
    // What is left of an import that went no further is removed by the next.
    let _ = fs::remove_dir_all(&staging);
    fs::create_dir_all(staging.join("store.sqlite")).unwrap();
    sandbox.run("moved", &export.import()).success();
    assert!(!staging.exists());
    sandbox.run("moved", &["whoami"]).success();
    sandbox.run("moved", &["contact", "show", "bob"]).success();
}

#[test]
fn an_import_that_the_disk_refuses_leaves_nothing() {
    let sandbox = Sandbox::with(&["alice"]);
    let export = Export::of_alice(&sandbox, &[]);
    let full = r#"trap "" XFSZ; ulimit -f 0; exec "$@""#;
    sandbox
        .finish(shell(&sandbox, "moved", full, &export.import()).stdin(""))
        .code(8)
        .stdout_eq("");
    assert_eq!(names_in(&sandbox.path("home")), ["alice"]);
    sandbox.run("moved", &export.import()).success();
}

#[test]
fn export_and_import_say_in_json_what_moved() {
    let sandbox = Sandbox::with(&["alice", "bob"]);
    sandbox.run("alice", &["send", "bob", "x"]).success();
    let passphrase = sandbox.file("passphrase", "x");
    let file = sandbox.path("export").display().to_string();
    let args = ["--export-passphrase-file", &passphrase];
    let export = [&["export", "-o", &file][..], &args].concat();
    let exported = sandbox.json("alice", &export).remove(0);
    assert_eq!(
        exported,
        serde_json::json!({"name": "alice", "file": file, "contacts": 1, "policy": false, "sealingKeys": false})
    );
    let new = sandbox.file("new", "of the key store");
    let import = [
        "import",
        &file,
        "--key-store",
        "file",
        "--passphrase-file",
        &new,
    ];
    let imported = sandbox
        .json("moved", &[&import[..], &args].concat())
        .remove(0);
    assert_eq!(imported["name"], "alice");
    assert_eq!(imported["keyStore"], "file");
    assert_eq!(imported["profile"], "moved");
    assert_eq!(imported["contacts"], 1);
    assert_eq!(text(&imported["relay"]), sandbox.relay.url());
    sandbox
        .run("moved", &["whoami", "--passphrase-file", &new])
        .success();
}
