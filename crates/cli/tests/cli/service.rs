//! The unit that `service` prints.

use std::process::Command;

use crate::support::{Sandbox, stderr};

fn unit(sandbox: &Sandbox, args: &[&str]) -> String {
    let all = [&["service", "--print"], args].concat();
    let output = sandbox.run("bob", &all).success();
    String::from_utf8(output.get_output().stdout.clone()).unwrap()
}

#[test]
fn the_unit_runs_recv_with_every_word_as_it_was_given() {
    let sandbox = Sandbox::with(&["bob"]);
    let command = r#"printf '%s' "$HOME" \\ ';'"#;
    let unit = unit(&sandbox, &["--concurrency", "4", "--exec", command]);
    let line = unit
        .lines()
        .find_map(|line| line.strip_prefix("ExecStart="))
        .unwrap();
    let program = env!("CARGO_BIN_EXE_ctalk");
    let quoted = r#""printf '%%s' \"$$HOME\" \\\\ ';'""#;
    assert_eq!(
        line,
        format!("{program} --profile bob recv --follow --concurrency 4 --exec {quoted}")
    );
    let home = sandbox.path("home");
    assert!(
        unit.contains(&format!("\nEnvironment=CTALK_HOME={}\n", home.display())),
        "{unit}"
    );
    assert!(unit.contains("\nEnvironment=PATH="), "{unit}");
}

#[test]
fn systemd_takes_the_unit() {
    let sandbox = Sandbox::with(&["bob"]);
    let unit = unit(
        &sandbox,
        &["--exec", r#"printf '%s $x' "a b" \\ ;"#, "--idle-exit", "9"],
    );
    let file = sandbox.file("ctalk-bob.service", unit);
    let verify = Command::new("systemd-analyze")
        .args([
            "verify",
            "--user",
            "--man=no",
            "--recursive-errors=no",
            &file,
        ])
        .env("XDG_RUNTIME_DIR", sandbox.folder.path())
        .output();
    match verify {
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(
                output.status.success() && !said.contains("ctalk-bob"),
                "{said}"
            );
        }
        // Where there is no systemd nobody runs the unit either.
        Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::NotFound),
    }
}

#[test]
fn what_recv_would_refuse_is_refused_and_nothing_is_written() {
    let sandbox = Sandbox::with(&["bob"]);
    let refused: [&[&str]; 5] = [
        &["service"],
        &["service", "--print", "--exec", "no-such-program-anywhere"],
        &["service", "--print", "--no-such-option"],
        &[
            "service",
            "--print",
            "--exec",
            "cat",
            "--post",
            "http://127.0.0.1:1/",
        ],
        &["service", "--print", "--peek"],
    ];
    for args in refused {
        let output = sandbox.run("bob", args).code(2).stdout_eq("");
        assert!(!stderr(&output).is_empty());
    }
    sandbox
        .run("nobody", &["service", "--print", "--exec", "cat"])
        .code(8)
        .stdout_eq("");
}

#[test]
fn the_unit_holds_no_secret() {
    let sandbox = Sandbox::with(&["bob"]);
    let mut command = sandbox.command("bob");
    for name in [
        "CLAWTALK_API_KEY",
        "ADMIN_KEY",
        "CLAWTALK_INVITE",
        "OPENCLAW_HOOKS_TOKEN",
    ] {
        command = command.env(name, "a-secret-of-the-test");
    }
    let command = command.args(["service", "--print", "--preset", "openclaw"]);
    let output = sandbox.finish(command).success();
    assert!(stderr(&output).contains("CLAWTALK_API_KEY"));
    let unit = String::from_utf8_lossy(&output.get_output().stdout);
    assert!(!unit.contains("a-secret-of-the-test"), "{unit}");
}
