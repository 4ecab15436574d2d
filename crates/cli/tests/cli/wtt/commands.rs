//! What each command prints.

use serde_json::json;
use snapbox::{assert_data_eq, str};

use super::Place;
use crate::support::{stderr, text};

#[test]
fn topics_from_the_first_to_the_last() {
    let place = Place::with(&["alice", "bob"]);
    assert_data_eq!(
        place.shown("bob", &["list"]),
        str![[r#"
ID  NAME  TYPE  MEMBERS  ROLE  DESCRIPTION

"#]]
    );
    assert_data_eq!(
        place.shown("alice", &["create", "gold", "all about it"]),
        str![[r#"
id    topic-000003
name  gold

"#]]
    );
    place.run("bob", &["join", "topic-000003"]).success();
    assert_data_eq!(
        place.shown("bob", &["subscribed"]),
        str![[r#"
ID            NAME  TYPE        MEMBERS  ROLE    DESCRIPTION
topic-000003  gold  discussion  2        member  all about it

"#]]
    );
    assert_data_eq!(
        place.shown("bob", &["search", "gol"]),
        str![[r#"
ID            NAME  TYPE        MEMBERS  ROLE  DESCRIPTION
topic-000003  gold  discussion  2        -     all about it

"#]]
    );
    assert_data_eq!(
        place.shown("bob", &["info", "topic-000003"]),
        str![[r#"
created      1767323045000
creator      agent-000000000001
description  all about it
id           topic-000003
joinMethod   open
members      2
name         gold
type         discussion
visibility   public
AGENT               ROLE    NAME
agent-000000000001  owner   somebody
agent-000000000002  member  somebody

"#]]
    );
    let published = place.shown(
        "bob",
        &["post", "topic-000003", "for all to see", "--plaintext"],
    );
    assert_data_eq!(
        published,
        str![[r#"
m-4

"#]]
    );
    assert_data_eq!(
        place.shown("alice", &["messages", "topic-000003"]),
        str![[r#"
2026-01-02T03:00:04.000Z  agent-000000000002 (plain)  for all to see

"#]]
    );
    assert_data_eq!(
        place.shown("alice", &["export", "topic-000003"]),
        str!["for all to see"]
    );
    let bob = place.id("bob");
    place
        .run("alice", &["ban", "add", "topic-000003", bob])
        .success();
    assert_data_eq!(
        place.shown("alice", &["blacklist", "list", "topic-000003"]),
        str![[r#"
agent-000000000002

"#]]
    );
    place
        .run("alice", &["ban", "remove", "topic-000003", bob])
        .success();
    place.run("bob", &["leave", "topic-000003"]).success();
    let refused = place.run("bob", &["delete", "topic-000003"]).code(7);
    assert!(stderr(&refused).contains("Only the owner can delete a topic"));
    place.run("alice", &["remove", "topic-000003"]).success();
    assert!(place.json("alice", &["ls"]).is_empty());
}

#[test]
fn tasks_from_the_first_to_the_last() {
    let place = Place::with(&["alice"]);
    let me = place.id("alice");
    assert_data_eq!(
        place.shown(
            "alice",
            &[
                "task",
                "create",
                "dig",
                "deep",
                "--priority",
                "P1",
                "--owner",
                me
            ]
        ),
        str![[r#"
created_by      agent-000000000001
description     deep
id              task-2
owner_agent_id  agent-000000000001
priority        P1
status          todo
task_mode       single
title           dig

"#]]
    );
    place.run("alice", &["task", "create", "wash"]).success();
    assert_data_eq!(
        place.shown("alice", &["task", "list"]),
        str![[r#"
ID      STATUS  PRIORITY  TITLE  OWNER_AGENT_ID      UPDATED_AT
task-2  todo    P1        dig    agent-000000000001  -
task-3  todo    -         wash   -                   -

"#]]
    );
    place
        .run("alice", &["task", "deps", "task-3", "task-2"])
        .success();
    assert_data_eq!(
        place.shown("alice", &["task", "graph"]),
        str![[r#"
TASK    WAITS FOR  MODE
task-3  task-2     finish_to_start

"#]]
    );
    assert_data_eq!(
        place.shown("alice", &["task", "progress"]),
        str![[r#"
TASK    PROGRESS
task-2  50
task-3  100

"#]]
    );
    place
        .run("alice", &["task", "deps", "task-3", "task-2", "--remove"])
        .success();
    assert!(place.json("alice", &["task", "graph"]).is_empty());
    place
        .run("alice", &["task", "assign", "task-3", me])
        .success();
    place.run("alice", &["task", "run", "task-3"]).success();
    place
        .run("alice", &["task", "update", "task-3", "--notes", "clean"])
        .success();
    let task = place.json("alice", &["task", "detail", "task-3"]).remove(0);
    assert_eq!(task["status"], "doing");
    assert_eq!(
        (&task["notes"], &task["owner_agent_id"]),
        (&"clean".into(), &me.into())
    );
    place
        .run("alice", &["task", "review", "task-3", "approve", "fine"])
        .success();
    let done = place.json("alice", &["task", "list", "--status", "done"]);
    assert_eq!(done.len(), 1);
    place.run("alice", &["task", "delete", "task-3"]).success();
    let missing = place.run("alice", &["task", "detail", "task-3"]).code(7);
    assert!(stderr(&missing).contains("Task not found"));
    place.run("alice", &["task", "detail", "../topics"]).code(2);
}

#[test]
fn pipelines_from_the_first_to_the_last() {
    let place = Place::with(&["alice"]);
    place
        .run("alice", &["pipe", "create", "mine", "all of it"])
        .success();
    place
        .run(
            "alice",
            &["task", "create", "dig", "--pipeline", "pipeline-2"],
        )
        .success();
    place.run("alice", &["task", "create", "wash"]).success();
    place
        .run("alice", &["pipeline", "add", "pipeline-2", "task-4"])
        .success();
    assert_data_eq!(
        place.shown("alice", &["pipeline", "status", "pipeline-2"]),
        str![[r#"
ID      STATUS  PRIORITY  TITLE  OWNER_AGENT_ID  UPDATED_AT
task-3  todo    -         dig    -               -
task-4  todo    -         wash   -               -

"#]]
    );
    place
        .run(
            "alice",
            &["pipeline", "update", "pipeline-2", "--auto-review", "true"],
        )
        .success();
    assert_data_eq!(
        place.shown("alice", &["pipeline", "list"]),
        str![[r#"
ID          NAME  TASK_COUNT  AUTO_REVIEW
pipeline-2  mine  -           true

"#]]
    );
    assert_data_eq!(
        place.shown("alice", &["pipeline", "run", "pipeline-2"]),
        str![[r#"
count  2

"#]]
    );
    place
        .run("alice", &["pipeline", "delete", "pipeline-2"])
        .success();
    assert!(place.json("alice", &["pipeline", "list"]).is_empty());
}

#[test]
fn what_a_task_says_is_sealed_to_whom_it_is_for() {
    let place = Place::with(&["alice", "bob", "carol"]);
    let create = [
        "task",
        "create",
        "dig",
        "where nobody looks",
        "--seal-to",
        "bob",
    ];
    let shown = place.shown("alice", &create);
    assert!(shown.contains("where nobody looks"), "{shown}");
    let kept = place.service.service().kept.tasks[0].clone();
    for member in ["title", "description"] {
        assert!(text(&kept[member]).starts_with("ctalk2:"), "{kept}");
    }
    let task = place.json("bob", &["task", "detail", "task-4"]).remove(0);
    assert_eq!(task["description"], "where nobody looks");
    let task = place.json("carol", &["task", "list"]).remove(0);
    assert_eq!(task["title"], kept["title"]);
    let review = [
        "task",
        "review",
        "task-4",
        "reject",
        "deeper",
        "--seal-to",
        "alice",
    ];
    place.run("bob", &review).success();
    let task = place.json("alice", &["task", "detail", "task-4"]).remove(0);
    assert_eq!(task["comment"], "deeper");
}

#[test]
fn delegations_and_what_the_service_reads() {
    let place = Place::with(&["alice", "bob"]);
    let bob = place.id("bob");
    place.run("alice", &["delegate", "create", bob]).success();
    assert_data_eq!(
        place.shown("alice", &["delegate", "list"]),
        str![[r#"
TARGET_AGENT_ID     CAN_PUBLISH  CAN_P2P
agent-000000000002  true         true

"#]]
    );
    place.run("bob", &["create", "gold"]).success();
    let topic = place.service.service().topics[0].id.clone();
    place
        .run("alice", &["delegate", "publish", bob, &topic, "as bob"])
        .success();
    place
        .run(
            "alice",
            &["delegate", "p2p", bob, place.id("alice"), "as bob"],
        )
        .success();
    place.run("alice", &["delegate", "remove", bob]).success();
    assert!(place.json("alice", &["delegate", "list"]).is_empty());
    place
        .run("bob", &["rich", &topic, "Title", "*text*"])
        .success();
    assert_data_eq!(
        place.shown("bob", &["history", &topic]),
        str![[r#"
2026-01-02T03:[..]Z  agent-000000000002 (plain)  as bob
2026-01-02T03:[..]Z  agent-000000000002 (plain)  *text*

"#]]
    );
    assert_data_eq!(
        place.shown("alice", &["recall", "export", &topic]),
        str![[r#"
path  memory/of-it.md

"#]]
    );
    assert_data_eq!(
        place.shown("alice", &["memory", "read", "memory/of-it.md"]),
        str![[r#"
# memory/of-it.md

"#]]
    );
    let found = place.json("alice", &["random", "where is gold?"]);
    assert_eq!(found.len(), 2);
    assert_eq!(found[0]["name"], "gold");
    assert_data_eq!(
        place.shown("alice", &["preview", "https://example.org"]),
        str![[r#"
site_name  https://example.org
title      A page

"#]]
    );
}

#[test]
fn a_code_to_bind_and_who_calls() {
    let place = Place::with(&["alice"]);
    assert_data_eq!(
        place.shown("alice", &["bind"]),
        str![[r#"
WTT-CLAIM-00000002

"#]]
    );
    let shown = place.json("alice", &["cfg"]).remove(0);
    assert_eq!(
        shown,
        json!({ "agent": place.id("alice"), "relay": place.service.url() })
    );
    assert_data_eq!(
        place.shown("alice", &["whoami"]),
        str![[r#"
agent  agent-000000000001
relay  wtt+http://127.0.0.1:[..]

"#]]
    );
}

#[test]
fn feed_and_inbox_are_the_users() {
    let place = Place::with(&["alice", "bob"]);
    let alice = place.id("alice").to_owned();
    let message = json!({ "content": "hello" });
    let told = place
        .service
        .service()
        .tell(place.id("bob"), &alice, &message);
    told.unwrap();
    place.run("alice", &["feed"]).code(7);
    place
        .service
        .service()
        .users
        .insert("jwt".to_owned(), vec![alice]);
    let run = |args: &[&str]| {
        let command = place.command("alice", args).env("WTT_BEARER_TOKEN", "jwt");
        let output = place.sandbox.finish(command).success();
        String::from_utf8(output.get_output().stdout.clone()).unwrap()
    };
    assert_data_eq!(
        run(&["feed"]),
        str![[r#"
2026-01-02T03:[..]Z  agent-000000000002 (plain)  hello

"#]]
    );
    assert_data_eq!(
        run(&["inbox"]),
        str![[r#"
PEER                UNREAD  LAST
agent-000000000002  1       hello

"#]]
    );
}

#[test]
fn answers_that_are_something_else_are_refused() {
    let place = Place::with(&["alice"]);
    for (status, answer) in [
        (200, "<html>login</html>"),
        (200, "\"soon\""),
        (200, r#"{"tasks":{"id":"1"}}"#),
        (401, r#"{"detail":"Not authenticated"}"#),
        (422, r#"{"detail":[{"msg":"no"}]}"#),
        (502, "<html>bad gateway</html>"),
    ] {
        let answers = Some((status, answer.to_owned()));
        place.service.switch(|switches| switches.answers = answers);
        for args in [
            &["list"][..],
            &["task", "list"],
            &["export", "t"],
            &["delegate", "list"],
        ] {
            place.run("alice", args).code(7);
        }
        place.run("alice", &["bind"]).code(7);
    }
}
