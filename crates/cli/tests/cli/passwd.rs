//! `ctalk passwd`.

use std::{fs, os::unix::fs::PermissionsExt};

use snapbox::str;

use crate::support::{Sandbox, names_in, stderr};

/// A profile `alice` with a key store of kind `file`; returns the passphrase's file.
fn sealed(sandbox: &Sandbox) -> String {
    let passphrase = sandbox.file("old", "old passphrase\n");
    let keygen = ["keygen", "--name", "alice", "--key-store", "file"];
    sandbox
        .run(
            "alice",
            &[&keygen[..], &["--passphrase-file", &passphrase]].concat(),
        )
        .success();
    passphrase
}

fn fingerprint(sandbox: &Sandbox, passphrase: &str) -> String {
    let whoami = sandbox.json("alice", &["whoami", "--passphrase-file", passphrase]);
    whoami[0]["fingerprint"].as_str().unwrap().to_owned()
}

#[test]
fn only_the_new_passphrase_opens_the_store() {
    let sandbox = Sandbox::new();
    let old = sealed(&sandbox);
    let new = sandbox.file("new", "new passphrase\n");
    let before = fingerprint(&sandbox, &old);
    let passwd = [
        "passwd",
        "--passphrase-file",
        &old,
        "--new-passphrase-file",
        &new,
    ];
    sandbox
        .run("alice", &passwd)
        .success()
        .stdout_eq("the key store of alice is file\n");
    assert_eq!(fingerprint(&sandbox, &new), before);
    sandbox
        .run("alice", &["whoami", "--passphrase-file", &old])
        .code(8)
        .stdout_eq("");
    // The old passphrase changes nothing any more either.
    sandbox.run("alice", &passwd).code(8).stdout_eq("");
    assert_eq!(fingerprint(&sandbox, &new), before);
}

#[test]
fn the_kind_changes_there_and_back_and_leaves_no_other_file() {
    let sandbox = Sandbox::new();
    let old = sealed(&sandbox);
    let before = fingerprint(&sandbox, &old);
    sandbox
        .run(
            "alice",
            &["passwd", "--key-store", "plain", "--passphrase-file", &old],
        )
        .success()
        .stderr_eq(str![[r#"
the keys lie unprotected in [..]/home/alice: whoever can read it is alice

"#]]);
    let files = || names_in(&sandbox.profile("alice"));
    assert_eq!(files(), ["keys.lock", "keys.plain.json", "profile.toml"]);
    let whoami = || sandbox.json("alice", &["whoami"]).remove(0);
    assert_eq!(whoami()["keyStore"], "plain");
    assert_eq!(whoami()["fingerprint"], before);

    sandbox
        .run(
            "alice",
            &[
                "passwd",
                "--key-store",
                "file",
                "--new-passphrase-file",
                &old,
            ],
        )
        .success();
    assert_eq!(files(), ["keys.lock", "keys.sealed", "profile.toml"]);
    assert_eq!(fingerprint(&sandbox, &old), before);
}

#[test]
fn without_a_new_passphrase_everything_stays_as_it_is() {
    let sandbox = Sandbox::new();
    let old = sealed(&sandbox);
    let keys = || fs::read(sandbox.profile("alice").join("keys.sealed")).unwrap();
    let before = keys();
    sandbox
        .run("alice", &["passwd", "--passphrase-file", &old])
        .code(8)
        .stdout_eq("")
        .stderr_eq(str![[r#"
error: no new passphrase: the key store needs a passphrase and none was given
hint: name a file that holds one line with `--new-passphrase-file FILE`

"#]]);
    let empty = sandbox.file("empty", "\n");
    let passwd = ["passwd", "--passphrase-file", &old];
    sandbox
        .run(
            "alice",
            &[&passwd[..], &["--new-passphrase-file", &empty]].concat(),
        )
        .code(8);
    // There is no keyring here.
    let output = sandbox.run(
        "alice",
        &[&passwd[..], &["--key-store", "keyring"]].concat(),
    );
    assert!(stderr(&output.code(8)).contains("no usable keyring"));
    assert_eq!(keys(), before);
    assert_eq!(
        names_in(&sandbox.profile("alice")),
        ["keys.lock", "keys.sealed", "profile.toml"]
    );
}

#[test]
fn a_plain_store_has_no_passphrase_to_change() {
    let sandbox = Sandbox::with(&["alice"]);
    sandbox
        .run("alice", &["passwd"])
        .code(2)
        .stdout_eq("")
        .stderr_eq(str![[r#"
error: a plain key store has no passphrase that could be changed
hint: ctalk passwd --key-store file

"#]]);
}

#[test]
fn a_change_that_the_disk_refuses_leaves_the_old_store() {
    let sandbox = Sandbox::new();
    let old = sealed(&sandbox);
    let before = fingerprint(&sandbox, &old);
    let full = r#"trap "" XFSZ; ulimit -f 0; exec "$@""#;
    for kind in ["plain", "file"] {
        let passwd = [
            "passwd",
            "--key-store",
            kind,
            "--passphrase-file",
            &old,
            "--new-passphrase-file",
            &old,
        ];
        sandbox
            .finish(crate::support::shell(&sandbox, "alice", full, &passwd).stdin(""))
            .code(8)
            .stdout_eq("");
        assert_eq!(fingerprint(&sandbox, &old), before);
        assert!(!sandbox.profile("alice").join("keys.plain.json").exists());
    }
}

/// The states that an interruption can leave, between each two steps of a change.
#[test]
fn an_interrupted_change_leaves_one_store_that_opens_and_can_be_finished() {
    let sandbox = Sandbox::new();
    let old = sealed(&sandbox);
    let before = fingerprint(&sandbox, &old);
    let folder = sandbox.profile("alice");
    let (sealed, plain) = (folder.join("keys.sealed"), folder.join("keys.plain.json"));
    let settings = folder.join("profile.toml");
    let (sealed_keys, sealed_settings) = (fs::read(&sealed).unwrap(), fs::read(&settings).unwrap());
    let passwd = |kind: &str| {
        let args = [
            "passwd",
            "--key-store",
            kind,
            "--passphrase-file",
            &old,
            "--new-passphrase-file",
            &old,
        ];
        sandbox.run("alice", &args).success();
    };
    passwd("plain");
    let (plain_keys, plain_settings) = (fs::read(&plain).unwrap(), fs::read(&settings).unwrap());
    let put = |path: &std::path::Path, content: Option<&Vec<u8>>| match content {
        Some(content) => {
            fs::write(path, content).unwrap();
            fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
        }
        None => {
            let _ = fs::remove_file(path);
        }
    };
    for (sealed_there, plain_there, settings_there, kind, finish) in [
        // file to plain: the plain file is written; the sealed one is removed.
        (
            Some(&sealed_keys),
            Some(&plain_keys),
            &sealed_settings,
            "file",
            "plain",
        ),
        (None, Some(&plain_keys), &sealed_settings, "plain", "plain"),
        // plain to file: the sealed file is written; the plain one is removed.
        (
            Some(&sealed_keys),
            Some(&plain_keys),
            &plain_settings,
            "file",
            "file",
        ),
        (Some(&sealed_keys), None, &plain_settings, "file", "plain"),
    ] {
        put(&sealed, sealed_there);
        put(&plain, plain_there);
        put(&settings, Some(settings_there));
        let detail = ["whoami", "--verbose", "--passphrase-file", &old];
        let output = sandbox.run("alice", &detail).success();
        assert!(stderr(&output).contains(&format!("key store: {kind}\n")));
        let doctor = ["doctor", "--json", "--passphrase-file", &old];
        let report = crate::support::lines(&sandbox.run("alice", &doctor).code(8));
        let found: Vec<_> = report
            .iter()
            .filter(|line| line["check"] == "key-store" && line["ok"] == false)
            .collect();
        assert!(!found.is_empty(), "{report:?}");
        let hint = format!("finish the change: `ctalk passwd --key-store {kind}`");
        assert!(found.iter().all(|line| line["hint"] == hint.as_str()));

        passwd(finish);
        assert_eq!(fingerprint(&sandbox, &old), before);
        assert_eq!(sealed.exists(), finish == "file");
        assert_eq!(plain.exists(), finish == "plain");
        let whoami = ["whoami", "--passphrase-file", &old];
        assert_eq!(sandbox.json("alice", &whoami)[0]["keyStore"], finish);
    }
}

#[test]
fn of_two_changes_at_once_the_later_one_is_told_and_one_passphrase_opens() {
    let sandbox = Sandbox::new();
    let old = sealed(&sandbox);
    let before = fingerprint(&sandbox, &old);
    let new = ["first", "second"].map(|name| sandbox.file(name, name));
    let running = [&new[0], &new[1]].map(|new| {
        let args = [
            "passwd",
            "--passphrase-file",
            &old,
            "--new-passphrase-file",
            new,
        ];
        sandbox.start("alice", &args)
    });
    let mut codes = Vec::new();
    for process in running {
        let (status, _, talk) = process.end();
        if !status.success() {
            let talk = talk.join("\n");
            let replaced = talk.contains("was replaced by another process");
            // It may also have begun when the other one was through.
            assert!(replaced || talk.contains("does not open"), "{talk}");
        }
        codes.push(status.code());
    }
    codes.sort();
    assert_eq!(codes, [Some(0), Some(8)]);
    let opened = new.iter().filter(|passphrase| {
        let whoami = ["whoami", "--passphrase-file", passphrase];
        let output = sandbox.run("alice", &whoami);
        output.get_output().status.success()
    });
    assert_eq!(opened.count(), 1);
    assert!(new.iter().any(|new| {
        let whoami = ["whoami", "--json", "--passphrase-file", new];
        let output = sandbox.run("alice", &whoami);
        String::from_utf8_lossy(&output.get_output().stdout).contains(&before)
    }));
}
