//! Two agents in one program, embedding ctalk as a crate.
//!
//! Run with: cargo run -p ctalk --example embed
//!
//! A real program would point at its own relay and keep its identity in a `ctalk::Profile`; this
//! one starts a relay in process and keeps everything in temporary folders.

use std::{error::Error, sync::Arc, time::Duration};

use ctalk::{
    Client, Content, Draft, Filter, Next,
    clock::SystemClock,
    core::Identity,
    relay::clawtalk::{BearerKey, ClawTalk},
};
use ctalk_relay::testing::TestRelay;
use tempfile::TempDir;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let relay = TestRelay::start().await;
    let (mut alice, _alices_folder) = agent(&relay, "alice")?;
    let (mut bob, _bobs_folder) = agent(&relay, "bob")?;

    let question = Draft {
        correlation_id: Some("sum-1".to_owned()),
        ..Draft::new(Content::Text("what is 6 times 7?".to_owned()))
    };
    for outcome in alice.send(&["bob".to_owned()], &question).await? {
        println!("alice sent {}", outcome?.id.unwrap_or_default());
    }

    // Fetch stores what waits before the relay may forget it; each message is then handed over
    // until it is committed, so a crash in between loses nothing.
    bob.fetch(Duration::ZERO).await?;
    let mut receiving = bob.receive(Filter::default())?;
    while let Some(next) = bob.next(&mut receiving).await? {
        match next {
            Next::Message(handover) => {
                let message = &handover.message;
                let from = message.from.as_deref().unwrap_or("somebody unknown");
                println!(
                    "bob got {:?} from {from} ({})",
                    message.payload,
                    message.trust.as_str()
                );
                bob.commit(*handover)?;
            }
            Next::Unauthenticated(handover) => {
                let claimed = &handover.message.relay_from;
                println!("bob got something that nobody signed, said to be from {claimed}");
                bob.commit(*handover)?;
            }
            Next::SetAside(item) => println!("set aside, {}: {}", item.reason, item.detail),
        }
    }
    Ok(())
}

fn agent(relay: &TestRelay, name: &str) -> Result<(Client, TempDir), Box<dyn Error>> {
    let identity = Identity::generate(&mut rand_core::UnwrapErr(getrandom::SysRng));
    let keys = identity.public_keys();
    let api_key = relay.register(
        name,
        &keys.encryption().to_base64(),
        &keys.verifying().to_base64(),
    );
    let clock = Arc::new(SystemClock);
    let adapter = ClawTalk::new(&relay.url(), Some(BearerKey::new(api_key)), clock.clone())?;
    let folder = TempDir::new()?;
    let store = folder.path().join("store.sqlite");
    Ok((Client::new(name, identity, adapter, &store, clock)?, folder))
}
