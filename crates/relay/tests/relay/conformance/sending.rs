use ctalk_relay::testing::TestRelay;
use serde_json::json;

use crate::support::{Api, register};

#[tokio::test]
async fn item_17_a_valid_send_is_201_and_arrives_with_the_same_id_and_ts() {
    let relay = TestRelay::start().await;
    let api = Api::of(&relay);
    let (alice, bob) = (register(&relay, "alice"), register(&relay, "bob"));
    let (id, ts) = api.send(&alice, "bob", json!({"text": "hi"})).await;
    let got = api.messages("/messages", &bob).await;
    assert_eq!(got.len(), 1);
    assert_eq!(got[0]["id"], id);
    assert_eq!(got[0]["ts"], ts);
}
