//! Messages that the relay pushes: each arrives, whatever becomes of the stream that brings them.

use std::{
    io::{Read, Write},
    net::TcpListener,
    sync::Arc,
    thread,
    time::Duration,
};

use ctalk::{
    Error,
    clock::SystemClock,
    relay::{
        Relay, RelayError,
        clawtalk::{BearerKey, ClawTalk},
    },
};
use ctalk_relay::testing::TestRelay;

use crate::agents::{Agent, body, connect, new_identity};

/// Longer than any test.
const HOUR: Duration = Duration::from_secs(60 * 60);

async fn agents(relay: &TestRelay) -> (Agent, Agent) {
    (
        Agent::register(relay, "alice"),
        Agent::register(relay, "bob"),
    )
}

fn adapter(relay: &TestRelay, agent: &Agent) -> ClawTalk {
    let key = BearerKey::new(agent.api_key.clone());
    ClawTalk::new(&relay.url(), Some(key), Arc::new(SystemClock)).unwrap()
}

#[tokio::test]
async fn what_is_sent_while_somebody_waits_arrives_at_once() {
    let relay = TestRelay::start().await;
    let (mut alice, mut bob) = agents(&relay).await;
    alice.say("bob", "before").await;
    assert_eq!(bob.client.fetch(HOUR).await.unwrap(), 1);
    let (fetched, _) = tokio::join!(bob.client.fetch(HOUR), alice.say("bob", "meanwhile"));
    assert_eq!(fetched.unwrap(), 1);
    assert_eq!(relay.waiting("bob"), 1, "there is no stream");
    assert!(relay.stored().is_empty());
    let (messages, _) = bob.receive_all().await;
    assert_eq!(
        messages.iter().map(body).collect::<Vec<_>>(),
        ["before", "meanwhile"]
    );
}

#[tokio::test]
async fn a_stream_that_ends_is_followed_by_another_one() {
    let mut relay = TestRelay::start().await;
    let (mut alice, mut bob) = agents(&relay).await;
    alice.say("bob", "one").await;
    assert_eq!(bob.client.fetch(HOUR).await.unwrap(), 1);
    relay = tokio::task::spawn_blocking(move || {
        relay.restart();
        relay
    })
    .await
    .unwrap();
    alice.say("bob", "two").await;
    let mut fresh = 0;
    for _ in 0..2 {
        // The first look may find that the stream is over.
        fresh += bob.client.fetch(HOUR).await.unwrap();
        if fresh > 0 {
            break;
        }
    }
    assert_eq!((fresh, relay.stored().len()), (1, 0));
}

#[tokio::test]
async fn what_was_not_acknowledged_is_pushed_again() {
    let relay = TestRelay::start().await;
    let (mut alice, bob) = agents(&relay).await;
    let adapter = adapter(&relay, &bob);
    alice.say("bob", "hello").await;
    let first = adapter.fetch(HOUR).await.unwrap();
    let second = adapter.fetch(HOUR).await.unwrap();
    assert_eq!((first.len(), second.len()), (1, 1));
    assert_eq!(first[0].raw, second[0].raw);
    assert_eq!(first[0].relay_id, second[0].relay_id);
}

#[tokio::test]
async fn a_wait_that_is_broken_off_loses_nothing() {
    let relay = TestRelay::start().await;
    let (mut alice, mut bob) = agents(&relay).await;
    alice.say("bob", "zero").await;
    assert_eq!(bob.client.fetch(HOUR).await.unwrap(), 1);
    for round in 0..20 {
        // Each is broken off before anything can arrive, and what arrives meanwhile is there for the next.
        let broken_off = tokio::time::timeout(Duration::ZERO, bob.client.fetch(HOUR)).await;
        let before = broken_off.map_or(0, Result::unwrap);
        alice.say("bob", &format!("message {round}")).await;
        if before == 0 {
            assert_eq!(bob.client.fetch(HOUR).await.unwrap(), 1);
        }
    }
    assert!(relay.stored().is_empty());
    assert_eq!(bob.receive_all().await.0.len(), 21);
}

#[tokio::test]
async fn a_relay_without_a_stream_is_polled() {
    let relay = TestRelay::builder().polled(true).start().await;
    let (mut alice, mut bob) = agents(&relay).await;
    for _ in 0..2 {
        alice.say("bob", "hello").await;
        assert_eq!(bob.client.fetch(HOUR).await.unwrap(), 1);
    }
    assert_eq!(relay.waiting("bob"), 0);
    assert!(relay.stored().is_empty());
}

#[tokio::test]
async fn a_relay_whose_places_are_taken_is_polled() {
    let relay = TestRelay::start().await;
    let (mut alice, mut bob) = agents(&relay).await;
    let mut streams = Vec::new();
    for _ in 0..16 {
        alice.say("bob", "hello").await;
        let stream = adapter(&relay, &bob);
        assert!(!stream.fetch(HOUR).await.unwrap().is_empty());
        streams.push(stream);
    }
    assert_eq!(bob.client.fetch(HOUR).await.unwrap(), 16);
    assert_eq!(relay.waiting("bob"), 16);
    assert!(relay.stored().is_empty());
}

#[tokio::test]
async fn a_key_that_is_no_good_ends_the_waiting() {
    let relay = TestRelay::start().await;
    let key = Some(BearerKey::new("ct_wrong"));
    let adapter = ClawTalk::new(&relay.url(), key, Arc::new(SystemClock)).unwrap();
    let refused = adapter.fetch(HOUR).await.unwrap_err();
    assert!(
        matches!(refused, RelayError::Unauthorized { .. }),
        "{refused:?}"
    );
}

#[tokio::test]
async fn an_event_without_an_end_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let server = thread::spawn(move || {
        let (mut peer, _) = listener.accept().unwrap();
        let _ = peer.read(&mut [0; 4096]).unwrap();
        peer.write_all(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\ndata: ")
            .unwrap();
        let mut written = 0_u64;
        while peer.write_all(&[b'x'; 1 << 16]).is_ok() {
            written += 1 << 16;
            assert!(written < 64 << 20, "it reads on and on");
        }
    });
    let folder = tempfile::tempdir().unwrap();
    let mut client = connect(
        &url,
        "bob",
        &new_identity(),
        "ct_key",
        &folder,
        Arc::new(SystemClock),
    );
    assert_eq!(client.fetch(HOUR).await.unwrap(), 0);
    // The connection is closed by this runtime.
    let joined = tokio::task::spawn_blocking(move || server.join());
    joined.await.unwrap().unwrap();
    // And nobody listens any more.
    let error: Error = client.fetch(HOUR).await.unwrap_err();
    assert!(
        matches!(error, Error::Relay(RelayError::Unreachable { .. })),
        "{error:?}"
    );
}
