//! The host's side: clients of the plugin and ctalk's own, with a handler in the agent's place.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{Router, routing::post};
use ctalk::{
    Answered, Client, Contract, Until, Work,
    clock::SystemClock,
    core::envelope::{Kind, Metadata},
    handler::{Attempt, Handler, Outcome},
    relay::openclaw::{Auth, Host, Rules},
};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::{net::TcpStream, sync::Semaphore};
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{Message, client::IntoClientRequest, error::Error as WebSocketError},
};

use super::{Person, ask, send};

/// Says everything back in capitals, when it may, and remembers what it was told.
pub(super) struct Upper {
    pub(super) told: Arc<Mutex<Vec<Attempt>>>,
    pub(super) may: Arc<Semaphore>,
}

impl Upper {
    pub(super) fn new() -> Self {
        Self {
            told: Arc::default(),
            may: Arc::new(Semaphore::new(Semaphore::MAX_PERMITS)),
        }
    }

    /// Answers only as often as permits are added.
    fn waiting() -> Self {
        Self {
            told: Arc::default(),
            may: Arc::new(Semaphore::new(0)),
        }
    }
}

#[async_trait::async_trait]
impl Handler for Upper {
    async fn handle(&self, attempt: &Attempt) -> Outcome {
        self.told.lock().unwrap().push(attempt.clone());
        self.may.acquire().await.unwrap().forget();
        let text = String::from_utf8_lossy(attempt.message.payload.as_bytes()).into_owned();
        match text.as_str() {
            "fail" => Outcome::Failed {
                why: "it fails".to_owned(),
            },
            "bytes" => Outcome::Done { output: vec![0xff] },
            _ => Outcome::Done {
                output: text.to_uppercase().into_bytes(),
            },
        }
    }
}

pub(super) fn rules(takes_plaintext: bool) -> Rules {
    Rules {
        path: "/ws".to_owned(),
        auth: None,
        takes_plaintext,
        clock: Arc::new(SystemClock),
    }
}

pub(super) fn bind(rules: Rules) -> Host {
    Host::bind("127.0.0.1:0".parse().unwrap(), rules).unwrap()
}

pub(super) fn url(host: &Host) -> String {
    format!("openclaw+ws://{}/ws", host.local_addr())
}

/// Serves while something goes on.
pub(super) async fn while_hosting<T>(
    host: &Host,
    agent: &Person,
    client: &mut Client,
    handler: Upper,
    goes_on: impl Future<Output = T>,
) -> T {
    let store = agent.folder.path().join("store.sqlite");
    let answering = host.answering(Box::new(handler), &store, 8).unwrap();
    let work = Work {
        contract: Contract {
            holds_unsigned: false,
            ..Contract::HANDLER
        },
        replies: true,
        concurrency: Host::MOST_AT_ONCE,
        until: Until::Stopped {
            interval: Duration::from_millis(200),
            idle: None,
        },
        ..Work::default()
    };
    let working = client.work(&work, &answering, std::future::pending(), |event| {
        host.observe(&event)
    });
    tokio::select! {
        worked = working => panic!("{worked:?}"),
        served = host.serve() => panic!("{served:?}"),
        value = goes_on => value,
    }
}

/// A client of the plugin's.
pub(super) struct Raw(pub(super) WebSocketStream<TcpStream>);

impl Raw {
    pub(super) async fn try_connect(
        host: SocketAddr,
        path: &str,
        origin: Option<&str>,
    ) -> Result<Self, WebSocketError> {
        let mut request = format!("ws://{host}{path}").into_client_request().unwrap();
        if let Some(origin) = origin {
            request
                .headers_mut()
                .insert("origin", origin.parse().unwrap());
        }
        let stream = TcpStream::connect(host).await.unwrap();
        Ok(Self(client_async(request, stream).await?.0))
    }

    /// Connects and is greeted.
    pub(super) async fn connect(host: &Host, query: &str) -> Self {
        let path = format!("/ws{query}");
        let mut raw = Self::try_connect(host.local_addr(), &path, None)
            .await
            .unwrap();
        let greeting =
            json!({ "type": "chat.response", "content": "Connected to WebSocket chat server" });
        assert_eq!(raw.next().await, greeting);
        raw
    }

    pub(super) async fn say(&mut self, frame: impl Into<Message>) {
        self.0.send(frame.into()).await.unwrap();
    }

    pub(super) async fn send(&mut self, members: Value) {
        self.say(send(members).to_string()).await;
    }

    /// The next frame that is none of WebSocket's own.
    pub(super) async fn next(&mut self) -> Value {
        loop {
            match self.0.next().await.expect("a frame").unwrap() {
                Message::Text(text) => return serde_json::from_str(&text).unwrap(),
                Message::Ping(_) | Message::Pong(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    /// The next frame that says something.
    pub(super) async fn told(&mut self) -> Value {
        loop {
            let frame = self.next().await;
            if frame["type"] != "chat.typing" {
                return frame;
            }
        }
    }

    /// Waits for the end of the connection; the code that it is closed with, if it is.
    pub(super) async fn end(&mut self) -> Option<u16> {
        loop {
            match self.0.next().await {
                Some(Ok(Message::Close(close))) => return close.map(|close| close.code.into()),
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return None,
            }
        }
    }
}

fn response(id: &str, content: &str) -> Value {
    json!({ "type": "chat.response", "messageId": id, "content": content, "done": true })
}

/// Bob as host, who knows alice.
fn bobs(rules: Rules) -> (Arc<Person>, Person, Host, Client) {
    let (alice, bob) = (Arc::new(Person::new("alice")), Person::new("bob"));
    let host = bind(rules);
    let mut client = bob.client(host.clone());
    bob.knows(&mut client, &alice);
    (alice, bob, host, client)
}

#[tokio::test]
async fn a_client_of_the_plugin_is_answered_in_the_clear_as_it_expects() {
    let (_, bob, host, mut client) = bobs(rules(true));
    let handler = Upper::new();
    let told = Arc::clone(&handler.told);
    while_hosting(&host, &bob, &mut client, handler, async {
        let mut raw = Raw::connect(&host, "?senderId=carl").await;
        raw.send(json!({ "content": "hello", "messageId": "m1", "replyToMessageId": "m0" }))
            .await;
        assert_eq!(raw.next().await, json!({ "type": "chat.typing" }));
        assert_eq!(raw.told().await, response("m1", "HELLO"));
        // As bytes, too, and with an id that is made up for it.
        let frame = send(
            json!({ "content": "again", "senderId": "dora", "chatType": "group", "groupId": "g" }),
        );
        raw.say(frame.to_string().into_bytes()).await;
        let answer = raw.told().await;
        assert_eq!(answer["content"], "AGAIN");
        assert!(answer["messageId"].is_string());
    })
    .await;
    let told = told.lock().unwrap();
    let facts: Vec<_> = told
        .iter()
        .map(|attempt| {
            let message = &attempt.message;
            assert_eq!(message.from, None);
            assert_eq!(message.trust.as_str(), "plaintext");
            (message.relay_from.as_str(), message.topic.as_deref())
        })
        .collect();
    assert_eq!(facts, [("carl", None), ("dora", Some("group:g"))]);
    assert_eq!(told[0].message.correlation_id.as_deref(), Some("m1"));
    assert_eq!(told[0].message.reply_to.as_deref(), Some("m0"));
}

#[tokio::test]
async fn what_is_sealed_is_answered_by_an_envelope_and_nobody_else_is_told_anything() {
    let (alice, bob, host, mut client) = bobs(rules(false));
    let handler = Upper::new();
    let told = Arc::clone(&handler.told);
    while_hosting(&host, &bob, &mut client, handler, async {
        let mut chat = alice.chat(&url(&host), &bob);
        for text in ["hello", "more"] {
            let came = ask(&mut chat, text).await;
            assert_eq!(came.how, Some(Answered::Sealed), "{came:?}");
            assert_eq!(came.texts(), [text.to_uppercase()]);
            assert!(came.said.is_empty() && came.streamed.is_empty());
        }
        let mut raw = Raw::connect(&host, "").await;
        raw.send(json!({ "content": "hello", "messageId": "m" }))
            .await;
        let refused = raw.next().await;
        assert_eq!(
            (&refused["type"], &refused["messageId"]),
            (&json!("chat.error"), &json!("m"))
        );
    })
    .await;
    let told = told.lock().unwrap();
    assert_eq!(told.len(), 2);
    assert_eq!(told[0].message.from.as_deref(), Some("alice"));
    assert_eq!(told[0].message.trust.as_str(), "pinned");
}

#[tokio::test]
async fn what_is_longer_than_a_message_goes_there_and_back_in_parts() {
    let (alice, bob, host, mut client) = bobs(rules(false));
    while_hosting(&host, &bob, &mut client, Upper::new(), async {
        let long = "long ".repeat(40_000);
        let came = ask(&mut alice.chat(&url(&host), &bob), &long).await;
        assert_eq!(came.texts(), [long.to_uppercase()]);
    })
    .await;
}

#[tokio::test]
async fn a_stranger_and_words_in_a_contacts_name_are_not_handled() {
    let (alice, bob, host, mut client) = bobs(rules(true));
    let mallory = Person::new("mallory");
    let handler = Upper::new();
    let told = Arc::clone(&handler.told);
    while_hosting(&host, &bob, &mut client, handler, async {
        let metadata = Metadata::new(Kind::Request, "text/plain");
        let sealed = mallory.seal(&bob, &metadata, "let me in");
        let cut = sealed[..sealed.len() - 40].to_owned();
        let mut raw = Raw::connect(&host, "?senderId=alice").await;
        for (id, content) in [
            ("stranger", sealed),
            ("alice", "I am alice".to_owned()),
            ("cut", cut),
        ] {
            raw.send(json!({ "content": content, "messageId": id }))
                .await;
            let refused = raw.told().await;
            assert_eq!(
                (&refused["type"], &refused["messageId"]),
                (&json!("chat.error"), &json!(id))
            );
        }
    })
    .await;
    assert!(told.lock().unwrap().is_empty());
    drop(alice);
}

#[tokio::test]
async fn an_envelope_is_handled_once_whoever_says_it_again() {
    let (alice, bob, host, mut client) = bobs(rules(false));
    let handler = Upper::new();
    let told = Arc::clone(&handler.told);
    while_hosting(&host, &bob, &mut client, handler, async {
        let sealed = alice.seal(&bob, &Metadata::new(Kind::Request, "text/plain"), "pay");
        let mut raw = Raw::connect(&host, "?senderId=alice").await;
        raw.send(json!({ "content": sealed, "messageId": "1" }))
            .await;
        assert_eq!(raw.told().await["messageId"], "1");
        let mut other = Raw::connect(&host, "?senderId=mallory").await;
        for raw in [&mut raw, &mut other] {
            raw.send(json!({ "content": format!("{} {sealed}", &sealed[..99]), "messageId": "2" }))
                .await;
            assert_eq!(raw.next().await["type"], "chat.typing");
        }
        let again = alice.seal(&bob, &Metadata::new(Kind::Request, "text/plain"), "more");
        raw.send(json!({ "content": again, "messageId": "3" }))
            .await;
        assert_eq!(raw.told().await["messageId"], "3");
    })
    .await;
    assert_eq!(told.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn an_answer_finds_who_asked_over_a_new_connection_when_the_old_one_is_lost() {
    let (alice, bob, host, mut client) = bobs(rules(false));
    let handler = Upper::waiting();
    let (told, may) = (Arc::clone(&handler.told), Arc::clone(&handler.may));
    while_hosting(&host, &bob, &mut client, handler, async {
        let sealed = alice.seal(&bob, &Metadata::new(Kind::Request, "text/plain"), "hello");
        let mut raw = Raw::connect(&host, "").await;
        raw.send(json!({ "content": sealed, "messageId": "lost" }))
            .await;
        while told.lock().unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
        drop(raw);
        let mut raw = Raw::connect(&host, "").await;
        raw.send(json!({ "content": sealed, "messageId": "found" }))
            .await;
        assert_eq!(raw.next().await["type"], "chat.typing");
        may.add_permits(1);
        let answer = raw.told().await;
        assert_eq!(answer["messageId"], "found");
        assert!(answer["content"].as_str().unwrap().starts_with("ctalk2:"));
    })
    .await;
    assert_eq!(told.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn an_answer_to_who_is_away_waits_in_the_outbox_and_keeps_nobody_elses_back() {
    let (alice, bob, host, mut client) = bobs(rules(false));
    let carol = Person::new("carol");
    bob.knows(&mut client, &carol);
    let handler = Upper::waiting();
    let (told, may) = (Arc::clone(&handler.told), Arc::clone(&handler.may));
    while_hosting(&host, &bob, &mut client, handler, async {
        let metadata = Metadata::new(Kind::Request, "text/plain");
        let (to_bob, from_carol) = (
            alice.seal(&bob, &metadata, "one"),
            carol.seal(&bob, &metadata, "two"),
        );
        let mut raw = Raw::connect(&host, "").await;
        raw.send(json!({ "content": to_bob, "messageId": "1" }))
            .await;
        while told.lock().unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
        drop(raw);
        let mut raw = Raw::connect(&host, "").await;
        raw.send(json!({ "content": from_carol, "messageId": "2" }))
            .await;
        may.add_permits(2);
        assert_eq!(raw.told().await["messageId"], "2");
        // Alice shows up with something else, and gets both.
        let more = alice.seal(&bob, &metadata, "three");
        let mut raw = Raw::connect(&host, "").await;
        may.add_permits(1);
        raw.send(json!({ "content": more, "messageId": "3" })).await;
        let (first, second) = (raw.told().await, raw.told().await);
        assert_ne!(first["content"], second["content"]);
    })
    .await;
}

#[tokio::test]
async fn frames_that_are_none_are_told_apart_and_the_connection_stays() {
    let (_, bob, host, mut client) = bobs(rules(true));
    while_hosting(&host, &bob, &mut client, Upper::new(), async {
        let mut raw = Raw::connect(&host, "").await;
        for frame in ["", "null", "7", r#"{"type":"chat.send","content":[1]}"#] {
            raw.say(frame).await;
            let error = raw.next().await;
            assert_eq!(
                error,
                json!({ "type": "chat.error", "error": "Failed to parse message" }),
                "{frame}"
            );
        }
        for frame in [
            "{}",
            r#"{"type":"chat.send","messageId":"m"}"#,
            r#"{"type":"x","content":"y"}"#,
        ] {
            raw.say(frame).await;
            let error = raw.next().await;
            assert!(
                error["error"]
                    .as_str()
                    .unwrap()
                    .starts_with("Invalid message format. Expected: ")
            );
            assert_eq!(error.get("messageId"), None);
        }
        raw.say(r#"{"type":"chat.send","content":"x","messageId":7}"#)
            .await;
        let error = raw.next().await;
        assert!(
            error["error"]
                .as_str()
                .unwrap()
                .starts_with("Failed to process message: ")
        );
        raw.send(json!({ "content": "still here", "messageId": "m" }))
            .await;
        assert_eq!(raw.told().await, response("m", "STILL HERE"));
        // The same id again is dropped.
        raw.send(json!({ "content": "a copy", "messageId": "m" }))
            .await;
        assert_eq!(raw.next().await["type"], "chat.typing");
        raw.send(json!({ "content": "the last", "messageId": "n" }))
            .await;
        assert_eq!(raw.told().await, response("n", "THE LAST"));
    })
    .await;
}

#[tokio::test]
async fn a_handler_that_fails_and_an_answer_that_is_no_text_are_errors_of_their_message() {
    let (_, bob, host, mut client) = bobs(rules(true));
    while_hosting(&host, &bob, &mut client, Upper::new(), async {
        let mut raw = Raw::connect(&host, "").await;
        for content in ["fail", "bytes"] {
            raw.send(json!({ "content": content, "messageId": content }))
                .await;
            let error = raw.told().await;
            assert_eq!(
                (&error["type"], &error["messageId"]),
                (&json!("chat.error"), &json!(content))
            );
            assert!(!error.to_string().contains("it fails"), "{error}");
        }
    })
    .await;
}

#[tokio::test]
async fn the_sessions_of_senders_and_groups_go_on_by_themselves_and_each_in_order() {
    let (_, bob, host, mut client) = bobs(rules(true));
    let handler = Upper::waiting();
    let (told, may) = (Arc::clone(&handler.told), Arc::clone(&handler.may));
    while_hosting(&host, &bob, &mut client, handler, async {
        let mut raw = Raw::connect(&host, "").await;
        let group = |sender: &str, content: &str| {
            json!({ "senderId": sender, "content": content, "chatType": "group", "groupId": "g" })
        };
        for members in [
            json!({ "senderId": "ann", "content": "a1" }),
            json!({ "senderId": "ann", "content": "a2" }),
            json!({ "senderId": "bea", "content": "b1" }),
            group("ann", "g1"),
            group("bea", "g2"),
        ] {
            raw.send(members).await;
        }
        let begun = || {
            let told = told.lock().unwrap();
            let mut begun: Vec<_> = told
                .iter()
                .map(|attempt| String::from_utf8_lossy(attempt.message.payload.as_bytes()).into_owned())
                .collect();
            begun.sort();
            begun
        };
        while begun().len() < 3 {
            tokio::task::yield_now().await;
        }
        assert_eq!(begun(), ["a1", "b1", "g1"]);
        may.add_permits(5);
        for _ in 0..5 {
            raw.told().await;
        }
        assert_eq!(begun(), ["a1", "a2", "b1", "g1", "g2"]);
    })
    .await;
}

/// A service that knows tokens, on a free port; what it was asked is remembered.
async fn service(asked: &Arc<Mutex<Vec<Value>>>) -> String {
    let asked = Arc::clone(asked);
    let answer = move |body: String| {
        let body: Value = serde_json::from_str(&body).unwrap();
        let token = body["token"].clone();
        asked.lock().unwrap().push(body);
        async move {
            let status = axum::http::StatusCode::INTERNAL_SERVER_ERROR;
            let body = match token.as_str().unwrap() {
                "right" => {
                    json!({ "success": true, "data": { "userId": "ann", "username": "Ann" } })
                        .to_string()
                }
                "old" => json!({ "success": false, "error": "expired" }).to_string(),
                "html" => "<html>".to_owned(),
                "slow" => {
                    std::future::pending::<()>().await;
                    String::new()
                }
                _ => json!({ "success": true }).to_string(),
            };
            // Whose status means nothing.
            (status, body)
        }
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = Router::new().route("/verify", post(answer));
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}/verify")
}

#[tokio::test]
async fn who_the_service_does_not_know_is_told_why_and_closed_with_4401() {
    let asked = Arc::default();
    let endpoint = service(&asked).await;
    let auth =
        |is_required| Some(Auth::new(&endpoint, Duration::from_millis(500), is_required).unwrap());
    let (_, bob, host, mut client) = bobs(Rules {
        auth: auth(true),
        ..rules(true)
    });
    while_hosting(&host, &bob, &mut client, Upper::new(), async {
        for (query, error) in [
            ("", "Token required. Connect with ?token=YOUR_TOKEN"),
            ("?token=old", "Authentication failed: expired"),
            ("?token=none", "Authentication failed: auth_failed"),
            ("?token=html", "Authentication failed: service_unavailable"),
            ("?token=slow", "Authentication failed: timeout"),
        ] {
            let path = format!("/ws{query}");
            let mut raw = Raw::try_connect(host.local_addr(), &path, None)
                .await
                .unwrap();
            assert_eq!(
                raw.next().await,
                json!({ "type": "chat.error", "error": error })
            );
            assert_eq!(raw.end().await, Some(4401));
        }
        Raw::connect(&host, "?token=right&senderId=x&room=1&room=2").await;
    })
    .await;
    let last = json!({ "token": "right", "tokenType": "local", "senderId": "x", "room": "2" });
    assert_eq!(asked.lock().unwrap().last(), Some(&last));
    // Where it need not be known, whoever it is comes in, and as nobody: the name could be another one's.
    let (_, bob, host, mut client) = bobs(Rules {
        auth: auth(false),
        ..rules(true)
    });
    let handler = Upper::new();
    let told = Arc::clone(&handler.told);
    while_hosting(&host, &bob, &mut client, handler, async {
        for query in [
            "?token=old&senderId=carl",
            "?token=right&senderId=carl",
            "?senderId=dora",
        ] {
            let mut raw = Raw::connect(&host, query).await;
            raw.send(json!({ "content": "x" })).await;
            raw.told().await;
            // Who is known speaks for nobody else.
            raw.send(json!({ "content": "y", "senderId": "eve" })).await;
            raw.told().await;
        }
    })
    .await;
    let told = told.lock().unwrap();
    let senders: Vec<_> = told
        .iter()
        .map(|attempt| attempt.message.relay_from.as_str())
        .collect();
    let [first, second, "ann", "ann", third, fourth] = senders[..] else {
        panic!("{senders:?}")
    };
    assert_eq!((first, third), (second, fourth));
    for sender in [first, third] {
        assert!(sender.starts_with("connection-"), "{sender}");
    }
}

#[tokio::test]
async fn web_pages_are_not_let_in_where_a_login_is_optional_either() {
    let endpoint = service(&Arc::default()).await;
    let (_, bob, host, mut client) = bobs(Rules {
        auth: Some(Auth::new(&endpoint, Duration::from_millis(500), false).unwrap()),
        ..rules(true)
    });
    while_hosting(&host, &bob, &mut client, Upper::new(), async {
        let page = Some("https://evil.example");
        let refused = Raw::try_connect(host.local_addr(), "/ws", page).await;
        assert!(matches!(refused, Err(WebSocketError::Http(_))));
    })
    .await;
}

#[tokio::test]
async fn a_message_under_an_id_of_any_length_is_not_taken() {
    let (_, bob, host, mut client) = bobs(rules(true));
    while_hosting(&host, &bob, &mut client, Upper::new(), async {
        let mut raw = Raw::connect(&host, "").await;
        for member in ["messageId", "senderId", "groupId"] {
            let mut message = json!({ "content": "x" });
            message[member] = "m".repeat(300).into();
            raw.send(message).await;
            assert_eq!(raw.next().await["type"], "chat.error", "{member}");
        }
    })
    .await;
}

#[tokio::test]
async fn there_is_nothing_at_other_paths_and_nothing_for_web_pages_without_a_login() {
    let (_, bob, host, mut client) = bobs(rules(true));
    while_hosting(&host, &bob, &mut client, Upper::new(), async {
        for (path, origin, status) in [
            ("/", None, 400),
            ("/ws/", None, 400),
            ("/ws", Some("https://evil.example"), 403),
        ] {
            let refused = Raw::try_connect(host.local_addr(), path, origin)
                .await
                .err()
                .unwrap();
            let WebSocketError::Http(response) = refused else {
                panic!("{refused}");
            };
            assert_eq!(response.status().as_u16(), status);
        }
    })
    .await;
}

#[tokio::test]
async fn clients_are_told_when_it_is_over() {
    let (_, bob, host, mut client) = bobs(rules(true));
    while_hosting(&host, &bob, &mut client, Upper::new(), async {
        let mut raw = Raw::connect(&host, "").await;
        let (code, ()) = tokio::join!(raw.end(), host.close());
        assert_eq!(code, Some(1000));
    })
    .await;
}
