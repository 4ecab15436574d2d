//! A relay that answers with nonsense is refused by class, reads no more than it may, and learns
//! no key that is not meant for it.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use crate::agents::{Agent, connect, new_identity, text_draft};
use ctalk::{Class, Client, Filter, clock::SystemClock};
use ctalk_relay::testing::TestRelay;
use tempfile::TempDir;

/// Gives every request the same answer and keeps the request heads.
struct Canned {
    url: String,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Canned {
    fn answering(answer: &[u8]) -> Self {
        Self::with(answer.to_vec(), drop)
    }

    fn with(answer: Vec<u8>, after: impl Fn(TcpStream) + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let heads = Arc::clone(&requests);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(mut stream) = stream else { return };
                heads.lock().unwrap().push(head(&mut stream));
                let _ = stream.write_all(&answer);
                after(stream);
            }
        });
        Self { url, requests }
    }

    fn json(body: &str) -> Self {
        Self::answering(http("200 OK", "application/json", body).as_bytes())
    }

    fn client(&self, folder: &TempDir) -> Client {
        connect(
            &self.url,
            "bob",
            &new_identity(),
            "ct_key",
            folder,
            Arc::new(SystemClock),
        )
    }
}

fn http(status: &str, content_type: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: {content_type}\r\ncontent-length: {length}\r\n\
         connection: close\r\n\r\n{body}"
    )
}

fn head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap_or(0) == 1 {
        head.push(byte[0]);
    }
    String::from_utf8_lossy(&head).into_owned()
}

async fn fetching(relay: &Canned) -> ctalk::Error {
    let folder = TempDir::new().unwrap();
    relay
        .client(&folder)
        .fetch(Duration::ZERO)
        .await
        .unwrap_err()
}

#[tokio::test]
async fn answers_that_are_not_the_protocol_are_refused_by_class() {
    let page = http("200 OK", "text/html", "<html>captive portal</html>");
    let cases = [
        (page, Class::RelayRefused),
        (
            http("200 OK", "application/json", "[]"),
            Class::RelayRefused,
        ),
        (
            http("200 OK", "application/json", r#"{"messages": 7}"#),
            Class::RelayRefused,
        ),
        (
            http("200 OK", "application/json", r#"{"messages": ["#),
            Class::RelayRefused,
        ),
        (
            http("500 Oops", "text/plain", "stack trace"),
            Class::RelayRefused,
        ),
        (
            http("401 No", "application/json", "{}"),
            Class::RelayRefused,
        ),
        (
            http(
                "404 No",
                "application/json",
                r#"{"error":"x","code":"NOT_FOUND"}"#,
            ),
            Class::RelayRefused,
        ),
        ("nonsense\r\n\r\n".to_owned(), Class::RelayUnreachable),
        (String::new(), Class::RelayUnreachable),
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{".to_owned(),
            Class::RelayUnreachable,
        ),
    ];
    for (answer, class) in cases {
        let error = fetching(&Canned::answering(answer.as_bytes())).await;
        assert_eq!(error.class(), class, "{answer}: {error}");
        assert!(!error.to_string().contains("ct_key"), "{error}");
    }
}

#[tokio::test]
async fn an_error_text_of_the_relay_is_cut_and_cleaned() {
    let text = format!("\\u001b[31m{}", "x".repeat(5000));
    let body = format!(r#"{{"error":"{text}","code":"BAD_REQUEST"}}"#);
    let relay = Canned::answering(http("400 Bad", "application/json", &body).as_bytes());
    let error = fetching(&relay).await.to_string();
    assert!(error.len() < 300 && !error.contains('\u{1b}'), "{error}");
}

#[tokio::test]
async fn an_endless_answer_is_cut_off() {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n".into();
    let relay = Canned::with(head, |mut stream| {
        let block = vec![b' '; 1 << 20];
        // Bounded, so that a client without a limit fails the test instead of hanging it.
        for _ in 0..80 {
            if stream.write_all(&block).is_err() {
                return;
            }
        }
    });
    let error = fetching(&relay).await;
    assert_eq!(error.class(), Class::RelayRefused, "{error}");
    assert!(error.to_string().contains("larger than"), "{error}");
}

#[tokio::test]
async fn a_redirect_is_refused_and_its_target_learns_nothing() {
    let target = Canned::json(r#"{"messages":[]}"#);
    let answer = format!(
        "HTTP/1.1 307 Elsewhere\r\nlocation: {}/messages\r\ncontent-length: 0\r\n\r\n",
        target.url
    );
    let error = fetching(&Canned::answering(answer.as_bytes())).await;
    assert_eq!(error.class(), Class::RelayRefused, "{error}");
    assert!(target.requests.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_relay_that_shows_the_same_page_for_ever_does_not_hang_the_client() {
    // Deleting is answered with the same page too, which counts as done, and without an id
    // nothing can be deleted at all.
    let relay =
        Canned::json(r#"{"messages":[{"from":"a","to":"bob","type":"request","payload":1}]}"#);
    let folder = TempDir::new().unwrap();
    let mut client = relay.client(&folder);
    assert_eq!(client.fetch(Duration::ZERO).await.unwrap(), 1);
    assert_eq!(
        client.fetch(Duration::ZERO).await.unwrap(),
        0,
        "it is stored once"
    );
}

#[tokio::test]
async fn an_id_that_would_leave_its_path_is_never_put_into_one() {
    for id in ["../agents/bob", "a/b", "a?b", "%2e%2e", "", "é"] {
        let page = format!(
            r#"{{"messages":[{{"id":"{id}","from":"a","to":"bob","type":"request","payload":1}}]}}"#
        );
        let relay = Canned::json(&page);
        let folder = TempDir::new().unwrap();
        relay.client(&folder).fetch(Duration::ZERO).await.unwrap();
        let requests = relay.requests.lock().unwrap();
        assert!(
            requests
                .iter()
                .all(|head| head.starts_with("GET /messages?")),
            "{requests:?}"
        );
    }
}

#[tokio::test]
async fn an_unreachable_relay_is_named() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let folder = TempDir::new().unwrap();
    let mut client = connect(
        &url,
        "bob",
        &new_identity(),
        "ct_key",
        &folder,
        Arc::new(SystemClock),
    );
    let error = client
        .send(&["alice".to_owned()], &text_draft("x"))
        .await
        .unwrap_err();
    assert_eq!(error.class(), Class::RelayUnreachable);
    assert!(error.to_string().contains(&url), "{error}");
    assert!(error.hint().is_some());
}

#[tokio::test]
async fn nothing_is_ever_posted_to_the_audit_log() {
    let relay = TestRelay::start().await;
    let proxy = recording_proxy(relay.url().strip_prefix("http://").unwrap().to_owned());
    let (mut alice, mut bob) = (
        Agent::register(&relay, "alice"),
        Agent::register(&relay, "bob"),
    );
    for (agent, name) in [(&mut alice, "alice"), (&mut bob, "bob")] {
        let clock = Arc::new(SystemClock);
        agent.client = connect(
            &proxy.url,
            name,
            &agent.identity,
            &agent.api_key,
            &agent.folder,
            clock,
        );
    }
    alice.say("bob", "1").await;
    alice
        .client
        .send_plaintext(&["bob".to_owned()], &text_draft("2"))
        .await
        .unwrap();
    let _ = bob.client.peek(Filter::default()).await.unwrap();
    assert_eq!(bob.receive_all().await.0.len(), 2);
    let requests = proxy.requests.lock().unwrap().concat();
    assert!(
        requests.contains("POST /messages"),
        "the proxy saw the traffic"
    );
    assert!(!requests.contains("/audit"));
}

/// Passes bytes on to `target` and keeps what clients sent.
fn recording_proxy(target: String) -> Canned {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let requests = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&requests);
    thread::spawn(move || {
        for client in listener.incoming() {
            let (Ok(mut client), Ok(mut server)) = (client, TcpStream::connect(&target)) else {
                return;
            };
            let (mut from_server, mut to_client) =
                (server.try_clone().unwrap(), client.try_clone().unwrap());
            thread::spawn(move || std::io::copy(&mut from_server, &mut to_client));
            let seen = Arc::clone(&seen);
            thread::spawn(move || {
                let mut buffer = [0; 16 << 10];
                while let Ok(length @ 1..) = client.read(&mut buffer) {
                    let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
                    seen.lock().unwrap().push(text);
                    if server.write_all(&buffer[..length]).is_err() {
                        return;
                    }
                }
            });
        }
    });
    Canned { url, requests }
}

#[test]
fn addresses_that_are_no_relay_are_refused() {
    use ctalk::relay::clawtalk::ClawTalk;
    for url in [
        "",
        "relay",
        "ftp://host",
        "http://",
        "http://user:pw@host",
        "https://host/?q",
        "http://h/#f",
    ] {
        let error = ClawTalk::new(url, None, Arc::new(SystemClock))
            .err()
            .expect(url);
        assert_eq!(error.class(), Class::Usage, "{url}");
    }
}
