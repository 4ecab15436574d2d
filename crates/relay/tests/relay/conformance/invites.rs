//! Items 43 to 45.

use std::time::Duration;

use ctalk_relay::ManualClock;
use ctalk_relay::testing::TestRelay;
use serde_json::{Value, json};

use crate::support::{Api, KEY, OTHER_KEY, register, text};

const NOON: i64 = 1_774_094_400_000;

async fn invite(api: &Api, admin: &str, body: Value) -> String {
    text(&api.post("/invites", admin, body).await.ok(201)["code"])
}

fn registration(code: &str, name: &str) -> Value {
    json!({"invite": code, "name": name})
}

#[tokio::test]
async fn item_43_invites_are_made_listed_limited_and_deleted() {
    let clock = ManualClock::new(NOON);
    let relay = TestRelay::builder().clock(clock.clone()).start().await;
    let api = Api::of(&relay);
    let admin = relay.admin_key();
    for body in [None, Some("{}"), Some("junk"), Some("")] {
        let answer = api
            .call("POST", "/invites", Some(admin), body.map(str::to_owned))
            .await;
        let made = answer.ok(201);
        let code = text(&made["code"]);
        assert_eq!(code.len(), 22);
        assert_eq!(made["url"], format!("{}/signup?invite={code}", relay.url()));
        assert_eq!(made.as_object().unwrap().len(), 2, "{made}");
        let gone = api.delete(&format!("/invites/{code}"), admin).await.ok(200);
        assert_eq!(gone, json!({"deleted": true, "code": code}));
        let again = api.delete(&format!("/invites/{code}"), admin).await;
        again.error(404, "NOT_FOUND");
        let register = registration(&code, "late");
        api.post("/register", "", register)
            .await
            .error(403, "FORBIDDEN");
    }
    for body in [
        json!({"label": 5}),
        json!({"maxUses": -1}),
        json!({"maxUses": 1.5}),
        json!({"maxUses": "2"}),
        json!({"expiresInHours": "1"}),
        json!({"label": "x".repeat(257)}),
    ] {
        api.post("/invites", admin, body)
            .await
            .error(400, "BAD_REQUEST");
    }
    let body = json!({"label": "two", "maxUses": 2, "expiresInHours": 1.5});
    let made = api.post("/invites", admin, body).await.ok(201);
    assert_eq!(made["expiresAt"], "2026-03-21T13:30:00.000Z");
    let code = text(&made["code"]);
    let unused = invite(&api, admin, json!({"maxUses": 0, "expiresInHours": 0})).await;
    let expired = invite(&api, admin, json!({"expiresInHours": -1})).await;
    let forever = invite(&api, admin, json!({"expiresInHours": 1e300})).await;
    for (code, name, status) in [
        (&code, "first", 201),
        (&code, "second", 201),
        (&code, "third", 403),
        (&unused, "third", 403),
        (&expired, "third", 403),
        (&forever, "third", 201),
    ] {
        let answer = api.post("/register", "", registration(code, name)).await;
        assert_eq!(answer.status, status, "{name} {answer:?}");
    }
    let listed = api.get("/invites", admin).await.ok(200);
    assert_eq!(listed.as_array().unwrap().len(), 4);
    assert_eq!(
        listed[0],
        json!({
            "code": code, "createdBy": "admin", "createdAt": "2026-03-21T12:00:00.000Z", "uses": 2,
            "label": "two", "maxUses": 2, "expiresAt": "2026-03-21T13:30:00.000Z",
        })
    );
    assert_eq!(
        listed[1],
        json!({
            "code": unused, "createdBy": "admin", "createdAt": "2026-03-21T12:00:00.000Z",
            "uses": 0, "maxUses": 0,
        })
    );
    let short = invite(&api, admin, json!({"expiresInHours": 1})).await;
    clock.advance(Duration::from_secs(3599));
    api.post("/register", "", registration(&short, "in-time"))
        .await
        .ok(201);
    clock.advance(Duration::from_secs(1));
    let late = api
        .post("/register", "", registration(&short, "late"))
        .await;
    late.error(403, "FORBIDDEN");
}

#[tokio::test]
async fn item_44_agents_register_themselves_and_errors_come_in_order() {
    let relay = TestRelay::start().await;
    let api = Api::of(&relay);
    let admin = relay.admin_key();
    register(&relay, "taken");
    let good = invite(&api, admin, json!({"maxUses": 1})).await;
    let expired = invite(&api, admin, json!({"expiresInHours": -1})).await;
    let used = invite(&api, admin, json!({"maxUses": 0})).await;
    let answer = api
        .call("POST", "/register", None, Some("junk".to_owned()))
        .await;
    answer.error(400, "BAD_REQUEST");
    let missing = |answer: &crate::support::Answer| text(&answer.json()["error"]);
    let answer = api.post("/register", "", json!({})).await;
    answer.error(400, "BAD_REQUEST");
    assert!(missing(&answer).contains("invite"), "{answer:?}");
    let answer = api
        .post("/register", "", json!({"invite": "nowhere"}))
        .await;
    answer.error(400, "BAD_REQUEST");
    assert!(missing(&answer).contains("name"), "{answer:?}");
    for (code, name, status, error) in [
        ("nowhere", "a b", 400, "BAD_REQUEST"),
        ("nowhere", "broadcast", 400, "BAD_REQUEST"),
        ("nowhere", "taken", 403, "FORBIDDEN"),
        (&expired, "taken", 403, "FORBIDDEN"),
        (&used, "taken", 403, "FORBIDDEN"),
        (&good, "taken", 409, "CONFLICT"),
        (&good, "TAKEN", 409, "CONFLICT"),
    ] {
        let answer = api.post("/register", "", registration(code, name)).await;
        answer.error(status, error);
    }
    let invites = api.get("/invites", admin).await.ok(200);
    assert_eq!(
        invites[0]["uses"], 0,
        "a refused registration uses nothing up"
    );

    let answer = api.call(
        "POST",
        "/register",
        None,
        Some(registration(&good, "new-agent").to_string()),
    );
    let made = answer.await.ok(201);
    assert_eq!(made["name"], "new-agent");
    let key = text(&made["apiKey"]);
    let invites = api.get("/invites", admin).await.ok(200);
    assert_eq!(invites[0]["uses"], 1);
    let record = api.agent(&key, "new-agent").await;
    assert_eq!(
        (&record["publicKey"], &record["signingKey"]),
        (&json!(""), &json!(""))
    );
    let keys = json!({"publicKey": KEY, "signingKey": OTHER_KEY});
    api.patch("/agents/new-agent", &key, keys).await.ok(200);
    let record = api.agent(&key, "new-agent").await;
    assert_eq!(record["publicKey"], KEY);
    assert_eq!(record["signingKey"], OTHER_KEY);

    let other = invite(&api, admin, json!({})).await;
    let mut body = registration(&other, "with-keys");
    body["publicKey"] = json!("junk");
    api.post("/register", "", body.clone())
        .await
        .error(400, "BAD_REQUEST");
    body["publicKey"] = json!(KEY);
    body["signingKey"] = json!(OTHER_KEY);
    api.post("/register", "", body).await.ok(201);
    assert_eq!(api.agent(&key, "with-keys").await["publicKey"], KEY);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn item_45_concurrent_registrations_never_exceed_an_invite() {
    let relay = TestRelay::start().await;
    let api = Api::of(&relay);
    let code = invite(&api, relay.admin_key(), json!({"maxUses": 5})).await;
    let attempts: Vec<_> = (0..20)
        .map(|number| {
            let (api, code) = (api.clone(), code.clone());
            tokio::spawn(async move {
                let body = registration(&code, &format!("agent-{number}"));
                api.post("/register", "", body).await.status
            })
        })
        .collect();
    let mut statuses = Vec::new();
    for attempt in attempts {
        statuses.push(attempt.await.unwrap());
    }
    let made = statuses.iter().filter(|status| **status == 201).count();
    let refused = statuses.iter().filter(|status| **status == 403).count();
    assert_eq!((made, refused), (5, 15));
    let health = api.get("/health", "").await.ok(200);
    assert_eq!(health["agents"], 5);
}
