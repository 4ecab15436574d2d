//! Every command of skills/ctalk/SKILL.md does what the skill is read for.

use std::{fs, path::Path};

use ctalk::Class;
use rustix::process::Signal;

use crate::support::{Sandbox, shell};

fn skill() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../skills/ctalk/SKILL.md");
    fs::read_to_string(path).unwrap()
}

/// The blocks of commands.
fn blocks(skill: &str) -> Vec<&str> {
    let blocks = skill.split("\n```sh\n").skip(1);
    blocks
        .map(|block| block.split("\n```").next().unwrap())
        .collect()
}

#[test]
fn every_command_of_the_skill_works_as_it_stands() {
    let sandbox = Sandbox::with(&["default", "bob"]);
    for (one, other) in [("default", "bob"), ("bob", "default")] {
        sandbox.run(one, &["contact", "add", other]).success();
    }
    let sealed = sandbox.file("to-seal", "a question");
    let sealed = sandbox
        .run("bob", &["seal", "--armor", "--to", "default", &sealed])
        .success();
    sandbox.file("sealed.txt", &sealed.get_output().stdout);
    let answers = ["--exec", "tr a-z A-Z"];
    let follow = ["recv", "--follow", "--interval", "0.1", "--reply"];
    let bob = sandbox.start("bob", &[&follow[..], &answers].concat());
    let serve = ["serve", "openclaw", "--listen", "127.0.0.1:0"];
    let host = sandbox.start("bob", &[&serve[..], &answers].concat());
    let address = host.talk();
    let url = address.replace("listening on ws://", "openclaw+ws://") + "/ws";
    let skill = skill();
    let blocks = blocks(&skill);
    assert!(blocks.len() >= 8, "{blocks:?}");
    for block in blocks {
        // As an agent's tool runs it: in a folder of its own, with the binary in its path.
        let script = format!(
            "set -e; cd {}; ctalk() {{ \"$CTALK\" \"$@\"; }}\n{block}",
            sandbox.folder.path().display()
        );
        let ctalk = env!("CARGO_BIN_EXE_ctalk");
        let command = shell(&sandbox, "default", &script, &[])
            .env("CTALK", ctalk)
            .env("AGENT_URL", &url);
        let output = sandbox.finish(command.stdin(""));
        let stderr = String::from_utf8_lossy(&output.get_output().stderr).into_owned();
        let code = output.get_output().status.code();
        assert_eq!(code, Some(0), "{block}\n{stderr}");
    }
    let said = fs::read_to_string(sandbox.path("said.txt")).unwrap();
    assert_eq!(said, "ARE YOU THERE?");
    let opened = fs::read_to_string(sandbox.path("opened.txt")).unwrap();
    assert_eq!(opened, "a question");
    for process in [bob, host] {
        process.signal(Signal::TERM);
        assert_eq!(process.end().0.code(), Some(0));
    }
}

#[test]
fn the_skill_has_no_command_in_the_clear_and_knows_the_exit_codes() {
    let skill = skill();
    assert!(
        blocks(&skill)
            .iter()
            .all(|block| !block.contains("--plaintext"))
    );
    let codes: Vec<u8> = skill
        .lines()
        .filter_map(|line| line.strip_prefix("| ")?.split(" | ").next())
        .flat_map(|codes| codes.split(", ").filter_map(|code| code.parse().ok()))
        .collect();
    let known = |code: &u8| *code == 0 || Class::ALL.iter().any(|class| class.code() == *code);
    assert!(codes.len() > 10 && codes.iter().all(known), "{codes:?}");
}
