//! Agents are apart: whatever two of them ask for, a third keeps what it has, and to itself.

use std::fmt::Write;
use std::time::Duration;

use ctalk_relay::Audit;
use ctalk_relay::testing::TestRelay;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};

use crate::support::{Api, KEY, OTHER_KEY, text};

/// In everything of carol's that is nobody's business.
const PRIVATE: &str = "only-carol";
/// Where carol's and dave's webhooks lead, and no other's.
const HOST: &str = "192.0.2.99";
/// Whom the calls may name; the ids of carol's messages come in their place.
const NAMES: [&str; 8] = [
    "alice", "bob", "carol", "CAROL", "dave", "nobody", "_system", "car%6fl",
];
const METHODS: [&str; 4] = ["GET", "POST", "PATCH", "DELETE"];

/// One call of alice or bob.
#[derive(Clone, Debug)]
struct Call {
    by_bob: bool,
    method: &'static str,
    path: String,
    body: Option<Value>,
}

/// What stands for the id of one of carol's messages until there is one.
fn id(number: usize) -> String {
    format!("{{id-{number}}}")
}

fn name() -> impl Strategy<Value = &'static str> {
    select(NAMES.as_slice())
}

fn path() -> impl Strategy<Value = String> {
    let query = prop_oneof![
        Just(String::new()),
        Just(format!("topic={PRIVATE}")),
        Just("sort=asc&limit=100".to_owned()),
        Just("since=1970-01-01&channel=".to_owned()),
        name().prop_map(|name| format!("from={name}&to=carol&inbox=carol&agent={name}")),
        Just("before=2100-01-01".to_owned()),
    ];
    let resource = prop_oneof![
        select(
            [
                "agents",
                "messages",
                "channels",
                "audit",
                "invites",
                "admin/agents",
                "health",
                "messages/batch",
                "messages/delete",
                "messages/stream",
                "register",
                "webhooks",
            ]
            .as_slice()
        )
        .prop_map(str::to_owned),
        (
            name(),
            select(["", "/key", "/quota", "/webhook-secret"].as_slice())
        )
            .prop_map(|(name, what)| format!("agents/{name}{what}")),
        (0..3_usize).prop_map(|number| format!("messages/{}", id(number))),
        name().prop_map(|name| format!("invites/{name}")),
    ];
    (resource, query).prop_map(|(resource, query)| format!("/{resource}?{query}"))
}

/// A message with whatever might be taken by mistake.
fn message() -> impl Strategy<Value = Value> {
    let to = prop_oneof![
        name().prop_map(|name| json!(name)),
        Just(json!("broadcast")),
        vec(name(), 0..4).prop_map(|names| json!(names)),
    ];
    (to, name(), 0..3_usize).prop_map(|(to, name, number)| {
        json!({
            "to": to, "type": "request", "encrypted": false, "payload": "from a stranger",
            "from": name, "id": id(number), "topic": "t", "ttl": 60, "replyTo": id(number),
        })
    })
}

fn batch() -> impl Strategy<Value = Value> {
    vec(message(), 1..3).prop_map(|messages| json!({"messages": messages}))
}

fn ids() -> impl Strategy<Value = Value> {
    let ids = vec((0..3_usize).prop_map(id), 1..4);
    ids.prop_map(|ids| json!({"ids": ids}))
}

fn changes() -> impl Strategy<Value = Value> {
    name().prop_map(|name| {
        json!({
            "name": name, "publicKey": KEY, "signingKey": KEY, "capabilities": ["mine"],
            "webhookUrl": "http://192.0.2.1/", "owner": "me", "maxMessages": 0, "maxBytes": null,
        })
    })
}

fn registration() -> impl Strategy<Value = Value> {
    name().prop_map(|name| json!({"invite": "{invite}", "name": name, "owner": "me"}))
}

/// What carol has logged already, told otherwise.
fn entry() -> impl Strategy<Value = Value> {
    name().prop_map(|name| {
        json!({
            "messageId": "audited", "direction": "sent", "from": "carol", "to": name,
            "payload": "told otherwise", "ts": "2026-03-21T10:11:12.345Z", "loggedBy": "carol",
        })
    })
}

/// A method and a path with a body that it takes.
fn fitting() -> impl Strategy<Value = (&'static str, String, Option<Value>)> {
    let agent = (name(), select(["", "/quota"].as_slice()), changes());
    let secrets = (name(), select(["key", "webhook-secret"].as_slice()));
    let post = |path: &'static str| move |body| ("POST", path.to_owned(), Some(body));
    prop_oneof![
        message().prop_map(post("/messages")),
        batch().prop_map(post("/messages/batch")),
        ids().prop_map(post("/messages/delete")),
        entry().prop_map(post("/audit")),
        registration().prop_map(post("/register")),
        agent.prop_map(|(name, what, body)| {
            ("PATCH", format!("/agents/{name}{what}"), Some(body))
        }),
        secrets.prop_map(|(name, what)| ("POST", format!("/agents/{name}/{what}"), None)),
    ]
}

/// Any method, path and body.
fn anything() -> impl Strategy<Value = (&'static str, String, Option<Value>)> {
    let body = prop_oneof![
        message(),
        batch(),
        ids(),
        changes(),
        registration(),
        entry()
    ];
    let method = select(METHODS.as_slice());
    (method, path(), proptest::option::of(body))
}

fn call() -> impl Strategy<Value = Call> {
    let call = prop_oneof![fitting(), anything()];
    (any::<bool>(), call).prop_map(|(by_bob, (method, path, body))| Call {
        by_bob,
        method,
        path,
        body,
    })
}

/// A relay with alice, bob, carol, and dave, who exchanges messages with carol alone.
struct World {
    relay: TestRelay,
    api: Api,
    /// Of alice and bob.
    keys: [String; 2],
    carol: String,
    /// Of the messages in carol's inbox, newest first.
    ids: Vec<String>,
    invite: String,
}

impl World {
    async fn new() -> Self {
        let relay = TestRelay::builder()
            .audit(Audit::Posted)
            .heartbeat(Duration::from_millis(1));
        let relay = relay.start().await;
        let (api, admin) = (Api::of(&relay), relay.admin_key());
        let join = async |name: &str, hook: &str| {
            let agent = json!({
                "name": name, "owner": format!("{PRIVATE} {name}"), "publicKey": KEY,
                "signingKey": OTHER_KEY, "webhookUrl": format!("http://{hook}"),
            });
            let made = api.post("/agents", admin, agent).await.ok(201);
            text(&made["apiKey"])
        };
        let keys = [
            join("alice", "192.0.2.1").await,
            join("bob", "192.0.2.2").await,
        ];
        let hook = format!("{HOST}/{PRIVATE}");
        let (carol, dave) = (join("carol", &hook).await, join("dave", &hook).await);
        for (key, to) in [(&dave, "carol"), (&dave, "carol"), (&carol, "dave")] {
            let message = json!({
                "to": to, "type": "request", "encrypted": false, "payload": PRIVATE,
                "topic": PRIVATE, "correlationId": PRIVATE,
            });
            api.post("/messages", key, message).await.ok(201);
        }
        let entry = json!({
            "messageId": "audited", "direction": "sent", "from": "carol", "to": "dave",
            "payload": PRIVATE, "ts": "2026-03-21T10:11:12.345Z",
        });
        api.post("/audit", &carol, entry).await.ok(201);
        let quota = json!({"maxMessages": 1000});
        api.patch("/agents/carol/quota", admin, quota).await.ok(200);
        let invite = api.post("/invites", admin, json!({})).await.ok(201);
        let invite = text(&invite["code"]);
        let inbox = api.messages("/messages", &carol).await;
        let mut ids: Vec<_> = inbox.iter().map(|message| text(&message["id"])).collect();
        let sent = api.messages("/messages", &dave).await;
        ids.push(text(&sent[0]["id"]));
        Self {
            relay,
            api,
            keys,
            carol,
            ids,
            invite,
        }
    }

    /// Makes one call and returns all that its caller reads.
    async fn make(&mut self, call: &Call) -> String {
        let fill = |text: &str| {
            let with_invite = text.replace("{invite}", &self.invite);
            let ids = self.ids.iter().enumerate();
            ids.fold(with_invite, |text, (number, known)| {
                text.replace(&id(number), known)
            })
        };
        let who = usize::from(call.by_bob);
        let key = self.keys[who].clone();
        let path = fill(&call.path);
        if let Some(query) = path.strip_prefix("/messages/stream")
            && call.method == "GET"
        {
            return read_stream(&self.api, query, &key).await;
        }
        let body = call.body.as_ref().map(|body| fill(&body.to_string()));
        let answer = self.api.call(call.method, &path, Some(&key), body).await;
        assert!(answer.status < 500, "{call:?} {answer:?}");
        let mut read = answer.text.clone();
        for (name, value) in &answer.headers {
            let _ = write!(read, "\n{name}: {value:?}");
        }
        if answer.status == 201 && path.contains("/key") {
            self.keys[who] = text(&answer.json()["apiKey"]);
        }
        read
    }

    /// All that is carol's, but for what others have sent to her.
    async fn of_carol(&self) -> Value {
        let (api, admin) = (&self.api, self.relay.admin_key());
        let find = async |path: &str, members: &[(&str, &str)]| {
            let listed = api.get(path, admin).await.ok(200);
            let items = listed.as_array().cloned();
            let items = items.or_else(|| listed["messages"].as_array().cloned());
            let items = items.or_else(|| listed["entries"].as_array().cloned());
            let mut items = items.unwrap();
            items.retain(|item| members.iter().all(|(name, value)| item[*name] == *value));
            items
        };
        let mut account = find("/admin/agents", &[("name", "carol")]).await;
        for what in ["messages", "bytes"] {
            account[0].as_object_mut().unwrap().remove(what);
        }
        let all = "/messages?limit=100&sort=asc";
        json!({
            "account": account,
            "entry": api.get("/agents/carol", admin).await.ok(200),
            "received": find(all, &[("to", "carol"), ("from", "dave")]).await,
            "sent": find(all, &[("from", "carol")]).await,
            "audited": find("/audit?limit=200", &[("loggedBy", "carol")]).await,
            "invites": find("/invites", &[("code", &self.invite)]).await.len(),
            "webhook": self.webhook_of_carol(),
        })
    }

    /// Where carol's webhook leads, and what signs its posts, which no answer shows twice.
    fn webhook_of_carol(&self) -> Value {
        let database = self.relay.folder().join("relay.db");
        let database = rusqlite::Connection::open(database).unwrap();
        let sql = "SELECT url, hex(secret) FROM webhooks
                   WHERE agent = (SELECT id FROM agents WHERE name = 'carol')";
        let read = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?));
        let (url, secret): (String, String) = database.query_row(sql, [], read).unwrap();
        json!([url, secret])
    }
}

/// Whatever a stream brings before it has nothing more to bring.
async fn read_stream(api: &Api, query: &str, key: &str) -> String {
    let mut response = api.stream(query, key, None).await;
    let mut read = String::new();
    let mut comments = 0;
    while comments < 2
        && let Ok(Some(chunk)) = response.chunk().await
    {
        read.push_str(&String::from_utf8_lossy(&chunk));
        comments = read.matches(":\n\n").count();
    }
    read
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 48,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn no_calls_of_two_agents_reveal_or_change_anything_of_a_third(calls in vec(call(), 1..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut world = World::new().await;
            let before = world.of_carol().await;
            for call in &calls {
                let read = world.make(call).await;
                for secret in [PRIVATE, HOST, &world.carol] {
                    assert!(!read.contains(secret), "{call:?} {read}");
                }
            }
            assert_eq!(world.of_carol().await, before);
            let own = world.api.messages("/messages?sort=asc&limit=2", &world.carol).await;
            let received = before["received"].as_array().unwrap();
            assert_eq!(&own, received, "her key admits her to her messages");
        });
    }
}
