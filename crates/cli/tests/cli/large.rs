//! What is larger than a message of the relay: files and pipes of many MiB.

use std::fs;

use crate::support::Sandbox;

/// Bytes that no two parts have in common.
fn content(length: usize) -> Vec<u8> {
    let numbers = (0_u64..).flat_map(u64::to_le_bytes);
    numbers.take(length).collect()
}

#[test]
fn a_file_of_20_mib_goes_through_a_relay_whose_messages_have_64_kib() {
    let sandbox = Sandbox::with(&["alice", "bob"]);
    fs::create_dir(sandbox.path("saved")).unwrap();
    let bytes = content(20 << 20);
    let file = sandbox.file("large.bin", &bytes);
    let sent = sandbox.json("alice", &["send", "bob", "--file", &file]);
    assert_eq!(sent.len(), 1);
    assert!(sandbox.stored().len() > 450);
    let folder = sandbox.path("saved").display().to_string();
    let received = sandbox.json("bob", &["recv", "--save", &folder]);
    assert_eq!(received.len(), 1);
    assert_eq!(received[0]["id"], sent[0]["id"]);
    assert!(fs::read(sandbox.path("saved/large.bin")).unwrap() == bytes);
    assert!(sandbox.stored().is_empty());
}

#[test]
fn a_pipe_ends_in_a_handlers_stdin() {
    let sandbox = Sandbox::with(&["alice", "bob"]);
    // Not UTF-8, as an archive is not.
    let bytes = [b"\xff".to_vec(), content(1 << 20)].concat();
    let send = sandbox.command("alice").args(["send", "bob", "-"]);
    sandbox.finish(send.stdin(bytes.clone())).success();
    let to = sandbox.path("unpacked").display().to_string();
    let handler = format!("dd of={to} status=none");
    sandbox.run("bob", &["recv", "--exec", &handler]).success();
    assert!(fs::read(to).unwrap() == bytes);
}
