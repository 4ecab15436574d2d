//! Two agents in one program, embedding ctalk as a crate.
//!
//! Run with: cargo run -p ctalk --example embed
//!
//! A real program would point at its own relay and choose a safer key store; this one starts a relay
//! in process and keeps everything in temporary folders.

use std::{error::Error, sync::Arc, time::Duration};

use ctalk::{
    Admission, Client, Content, Draft, Filter, Next, Profile, Registration,
    clock::SystemClock,
    core::Identity,
    keystore::{Kind, PassphraseSource},
    relay::clawtalk::BearerKey,
};
use ctalk_relay::testing::TestRelay;
use tempfile::TempDir;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let relay = TestRelay::start().await;
    let (mut alice, _alices_folder) = agent(&relay, "alice").await?;
    let (mut bob, _bobs_folder) = agent(&relay, "bob").await?;

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
                    "bob got {:?} from {from} ({}, {})",
                    message.payload,
                    message.format.as_str(),
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

/// Makes an identity and registers it: with its key card in the directory, others write to it in
/// envelopes.
async fn agent(relay: &TestRelay, name: &str) -> Result<(Client, TempDir), Box<dyn Error>> {
    let folder = TempDir::new()?;
    let (path, clock) = (folder.path().join(name), Arc::new(SystemClock));
    let identity = Identity::generate(&mut rand_core::UnwrapErr(getrandom::SysRng));
    let (mut profile, keystore) =
        Profile::create(&path, name, Kind::Plain, PassphraseSource::None, &identity)?;
    let admission = Admission::AdminKey(BearerKey::new(relay.admin_key()));
    let url = relay.url();
    ctalk::register(
        &mut profile,
        &keystore,
        &keystore.read()?,
        Registration {
            url: &url,
            relay_name: None,
            admission: Some(admission),
            owner: name,
        },
        clock.clone(),
    )
    .await?;
    let secrets = keystore.read()?;
    // A program that runs on calls `client.refresh()` every hour or so, which keeps the keys young.
    let client = ctalk::client(&profile, keystore, &secrets, &url, None, clock)?;
    Ok((client, folder))
}
