//! A process that is killed while it sends what is too long for one message.

use std::{
    collections::BTreeSet,
    env, fs,
    io::{BufRead, BufReader, Read, stdin},
    process::{Command, Stdio},
};

use ctalk::{Content, Draft};
use serde_json::Value;

use super::process::{FOLDER, Process, STARTS, STEP, describe};
use crate::{agents::receive_all, scene::Scene};

const LENGTH: usize = 3_000_000;
/// After so many parts a process is killed, and before twice as many are sent.
const PARTS: usize = 15;
const KILLS: usize = 2;

fn payload() -> Vec<u8> {
    (0..LENGTH).map(|place| (place % 251) as u8).collect()
}

#[tokio::test]
#[ignore = "the process that is killed"]
async fn send() {
    let process = Process::here();
    let mut alice = process.client("alice");
    let mut sent = 0;
    alice.on_transfer(move |_| {
        println!("sent");
        sent += 1;
        if sent == 2 * PARTS {
            // Nobody writes, so this is the end.
            let _ = stdin().read(&mut [0]);
        }
    });
    let mut waiting = false;
    alice.store().each_outgoing(|_| waiting = true).unwrap();
    if waiting {
        alice.flush().await.unwrap();
    } else {
        let draft = Draft::new(Content::Bytes(payload()));
        let sent = alice.send(&["bob".to_owned()], &draft).await;
        sent.unwrap().remove(0).unwrap();
    }
}

#[tokio::test]
async fn what_a_killed_process_was_sending_in_parts_goes_on_with_the_next_flush_and_arrives_once() {
    let mut scene = Scene::new().await;
    scene.meet().await;
    let folder = tempfile::tempdir().unwrap();
    let agents = describe(&scene, "store.sqlite");
    fs::write(folder.path().join("agents.json"), agents.to_string()).unwrap();
    let mut parts_before = 0;
    for start in 0..KILLS {
        let mut process = Command::new(env::current_exe().unwrap())
            .args(["--exact", "crash::killed::send", "--ignored", "--nocapture"])
            .env(FOLDER, folder.path())
            .env(STARTS, start.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let parts = lines.filter(|line| line.as_deref().is_ok_and(|line| line == "sent"));
        assert_eq!(parts.take(PARTS).count(), PARTS);
        process.kill().unwrap();
        let _ = process.wait().unwrap();
        let parts = scene.relay.stored().len();
        assert!(parts >= parts_before + PARTS, "{parts}");
        parts_before = parts;
    }
    let steps = i64::try_from(KILLS).unwrap();
    scene.clock.advance(steps * STEP);
    let alice = &mut scene.alice.agent.client;
    assert_eq!(alice.flush().await.unwrap().len(), 1);
    let mut left = 0;
    alice.store().each_outgoing(|_| left += 1).unwrap();
    assert_eq!(left, 0);

    let stored = scene.relay.stored();
    let payloads: BTreeSet<String> = stored
        .iter()
        .map(|message| serde_json::from_str::<Value>(message).unwrap()["payload"].to_string())
        .collect();
    assert!(payloads.len() > 3 * PARTS, "{}", payloads.len());
    // At most one part was under way at each end.
    assert!(stored.len() <= payloads.len() + KILLS, "{}", stored.len());
    let (messages, set_aside) = receive_all(&mut scene.bob.agent.client).await;
    assert!(set_aside.is_empty(), "{set_aside:?}");
    assert_eq!(messages.len(), 1);
    assert!(messages[0].payload.as_bytes() == payload());
    assert!(scene.relay.stored().is_empty());
}
