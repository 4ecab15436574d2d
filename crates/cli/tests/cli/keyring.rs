//! Key stores of kind `keyring` against a real Secret Service, at the command line.
//!
//! Every run of `ctalk` has a D-Bus session of its own; what lasts from one to the next is the folder
//! of the keyring's data. Needs `dbus-run-session`, `dbus-send` and `gnome-keyring-daemon`.

use std::{
    env,
    fs::DirBuilder,
    io::Read,
    os::unix::{fs::DirBuilderExt, net::UnixStream},
    process::Command,
};

use snapbox::cmd::OutputAssert;

use crate::support::{PATIENCE, Sandbox, error_lines, lines, names_in, shell, stderr};

/// Runs `ctalk`, and after it counts its entries in the keyring.
const COUNT: &str = r#""$@" && dbus-send --session --print-reply \
    --dest=org.freedesktop.secrets /org/freedesktop/secrets \
    org.freedesktop.Secret.Service.SearchItems dict:string:string:service,ctalk"#;

fn can_run(test: &str) -> bool {
    for tool in ["dbus-run-session", "dbus-send", "gnome-keyring-daemon"] {
        if Command::new(tool).arg("--version").output().is_err() {
            assert!(env::var_os("CI").is_none(), "{tool} is missing");
            eprintln!("SKIPPED {test}: {tool} is missing");
            return false;
        }
    }
    true
}

/// Runs `script` with `ctalk` for alice as its arguments, in a session whose keyring has its data in
/// the folder `data` and is unlocked or not.
fn in_session(
    sandbox: &Sandbox,
    data: &str,
    unlock: bool,
    script: &str,
    args: &[&str],
) -> OutputAssert {
    let folder = |name: &str| {
        let path = sandbox.path(name);
        let mut builder = DirBuilder::new();
        builder.recursive(true).mode(0o700).create(&path).unwrap();
        path
    };
    let run = tempfile::tempdir_in(sandbox.folder.path()).unwrap();
    let prepare = if unlock {
        "printf password | gnome-keyring-daemon --unlock --components=secrets >/dev/null 2>&1; "
    } else {
        ""
    };
    let session = format!("exec dbus-run-session -- sh -c '{prepare}{script}' sh \"$@\"");
    let command = shell(sandbox, "alice", &session, args)
        .env("HOME", folder("someone"))
        .env("XDG_DATA_HOME", folder(data))
        .env("XDG_RUNTIME_DIR", run.path())
        .stdin("");
    let output = sandbox.finish(command);
    // The daemon ends with its session. Its control socket closes when it is gone.
    if let Ok(mut daemon) = UnixStream::connect(run.path().join("keyring/control")) {
        daemon.set_read_timeout(Some(PATIENCE)).unwrap();
        if let Err(error) = daemon.read_to_end(&mut Vec::new()) {
            assert_ne!(
                error.kind(),
                std::io::ErrorKind::WouldBlock,
                "still running"
            );
        }
    }
    output
}

fn entries(output: &OutputAssert) -> usize {
    let shown = String::from_utf8_lossy(&output.get_output().stdout);
    shown.matches("object path").count()
}

const RUN: &str = r#""$@""#;
const KEYGEN: [&str; 5] = ["keygen", "--name", "alice", "--key-store", "keyring"];

#[test]
fn a_keyring_that_vanishes_is_locked_or_lost_its_entry_is_told_with_a_way_out() {
    let test = "a_keyring_that_vanishes_is_locked_or_lost_its_entry_is_told_with_a_way_out";
    if !can_run(test) {
        return;
    }
    let sandbox = Sandbox::new();
    in_session(&sandbox, "data", true, RUN, &KEYGEN).success();
    in_session(&sandbox, "data", true, RUN, &["whoami"]).success();

    let gone = sandbox.run("alice", &["whoami"]);
    let locked = in_session(&sandbox, "data", false, RUN, &["whoami"]);
    let lost = in_session(&sandbox, "other", true, RUN, &["whoami"]);
    for (output, complaint, hint) in [
        (
            gone,
            "error: no usable keyring: ",
            "start the desktop's keyring",
        ),
        (
            locked,
            "error: the keyring is locked: ",
            "unlock the keyring",
        ),
        (
            lost,
            "error: the keyring answers but does not hold the key of ",
            "restore the keyring from a backup or the profile with `ctalk import`",
        ),
    ] {
        let talk = stderr(&output.code(8).stdout_eq(""));
        assert!(talk.contains(complaint), "{talk}");
        assert!(talk.contains(&format!("hint: {hint}")), "{talk}");
    }

    let doctor = sandbox.run("alice", &["doctor", "--json"]).code(8);
    let found = lines(&doctor);
    let keyring = found.iter().find(|line| line["check"] == "keyring");
    assert_eq!(keyring.unwrap()["ok"], false, "{found:?}");
    let json = sandbox.run("alice", &["whoami", "--json"]).code(8);
    assert_eq!(error_lines(&json)[0]["class"], "local-store");
    in_session(&sandbox, "data", true, RUN, &["whoami"]).success();
}

#[test]
fn passwd_moves_into_the_keyring_and_out_of_it_and_leaves_no_entry_behind() {
    if !can_run("passwd_moves_into_the_keyring_and_out_of_it_and_leaves_no_entry_behind") {
        return;
    }
    let sandbox = Sandbox::new();
    let passphrase = sandbox.file("passphrase", "of the file");
    let session = |args: &[&str]| in_session(&sandbox, "data", true, COUNT, args).success();
    assert_eq!(entries(&session(&KEYGEN)), 1);
    let keys = || std::fs::read(sandbox.profile("alice").join("keys.sealed")).unwrap();
    let before = keys();
    // The same kind again has another key.
    assert_eq!(entries(&session(&["passwd"])), 1);
    assert_ne!(keys()[..26], before[..26]);
    let to_file = [
        "passwd",
        "--key-store",
        "file",
        "--new-passphrase-file",
        &passphrase,
    ];
    assert_eq!(entries(&session(&to_file)), 0);
    sandbox
        .run("alice", &["whoami", "--passphrase-file", &passphrase])
        .success();
    let back = [
        "passwd",
        "--key-store",
        "keyring",
        "--passphrase-file",
        &passphrase,
    ];
    assert_eq!(entries(&session(&back)), 1);
    assert_eq!(entries(&session(&["passwd", "--key-store", "plain"])), 0);
    assert_eq!(
        names_in(&sandbox.profile("alice")),
        ["keys.lock", "keys.plain.json", "profile.toml"]
    );
    sandbox.run("alice", &["whoami"]).success();
}
