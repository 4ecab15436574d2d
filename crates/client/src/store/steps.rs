//! That nothing reads all contacts or all messages on the way to one.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use ctalk_core::{Card, CardStatement, Identity, Timestamp, XWingSecret, trust::Standing};
use tempfile::TempDir;

use super::{
    Claim, Claimable, CountKey, EntryState, Learned, Mark, NewContact, NewOutgoing, Settled,
    Settlement, Store, StoreError, To,
};
use crate::{
    message::Reason,
    relay::{Accepted, Body, Delivery, Destination, Outgoing},
};

const NOW: i64 = 1_800_000_000_000;
const RELAY: &str = "https://relay.example";

/// A store with a contact for each card, with an address, and for each one a message that was handled,
/// one that waits and one that was set aside.
struct Filled {
    store: Store,
    /// How many instructions SQLite has run.
    steps: Arc<AtomicU64>,
    _folder: TempDir,
}

impl Filled {
    fn with(cards: &[Card]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut store = Store::open(&folder.path().join("store.sqlite"), Some(RELAY)).unwrap();
        let filled = store.batch("test", |store| {
            for (place, card) in cards.iter().enumerate() {
                store
                    .pin(new(&format!("contact-{place}"), card), NOW)
                    .unwrap();
                let mut stored = |state: &str| {
                    let delivery = delivery(&format!("{state}-{place}"));
                    let _stored = store.admit(&[delivery], NOW).unwrap();
                    store.db.last_insert_rowid()
                };
                let (handled, aside) = (stored("handled"), stored("aside"));
                stored("waits");
                assert!(store.absorb(handled, &mark(card), None, NOW).unwrap());
                store
                    .put_away(
                        aside,
                        None,
                        EntryState::Quarantined,
                        (Reason::Malformed, ""),
                        NOW,
                    )
                    .unwrap();
                store.count(handled, &count_key(card), NOW).unwrap();
            }
            Ok::<_, StoreError>(())
        });
        filled.unwrap();
        Self {
            steps: count_steps(&mut store),
            store,
            _folder: folder,
        }
    }

    /// Does everything that is done for one contact, `held`, or for one message, and for another one
    /// who comes and goes; how many steps each took.
    fn work(&mut self, held: &Card, other: &Card) -> Vec<(&'static str, u64)> {
        let mut taken = Vec::new();
        let Self { store, steps, .. } = self;
        let mut done = |what| taken.push((what, steps.swap(0, Ordering::Relaxed)));
        let keys = held.public_keys();
        let contact = store.contact("contact-7").unwrap().unwrap();
        done("contact");
        assert!(store.contact_at("contact-7").unwrap().is_some());
        done("contact_at");
        assert!(
            store
                .contact_signing_with(keys.verifying())
                .unwrap()
                .is_some()
        );
        done("contact_signing_with");
        assert_eq!(store.holders(keys).unwrap().len(), 2);
        done("holders");
        assert_eq!(store.xwing_holder("x", held).unwrap(), None);
        done("xwing_holder");
        assert!(!store.has_other_card(held).unwrap());
        done("has_other_card");
        assert_eq!(store.card_history(&contact).unwrap().len(), 1);
        done("card_history");
        store.seen(0, &mark(held), None).unwrap();
        done("seen");
        let place = store.next_place(None).unwrap().unwrap();
        done("next_place");
        let entry = store.new_entry(place.1).unwrap().unwrap();
        done("new_entry");
        assert!(!store.has_late(0, place).unwrap());
        done("has_late");
        assert_eq!(store.entries_named("waits-3").unwrap().len(), 1);
        done("entries_named");
        store.set_card(&contact, held, NOW).unwrap();
        done("set_card");
        store
            .change_standing(&contact, Standing::after_verification)
            .unwrap();
        done("change_standing");
        store.set_notes(&contact, "x").unwrap();
        done("set_notes");
        store.rename_contact(&contact, "somebody").unwrap();
        done("rename_contact");
        store.pin(new("another", other), NOW).unwrap();
        done("pin");
        assert!(store.remove_contact("another").unwrap());
        done("remove_contact");
        let _stored = store.admit(&[delivery("fresh")], NOW).unwrap();
        done("admit");
        assert!(store.absorb(entry.number, &mark(other), None, NOW).unwrap());
        done("absorb");
        claims(store, other, &mut done);
        let counted = store.counts(&count_key(held), NOW).unwrap();
        assert_eq!((counted.handed, counted.turns), (1, Some(1)));
        done("counts");
        let (_, waiting) = store.next_place(None).unwrap().unwrap();
        done("next_place again");
        store.count(waiting, &count_key(other), NOW).unwrap();
        done("count");
        store.set_minute_back(&count_key(held), NOW - 1).unwrap();
        done("set_minute_back");
        store
            .put_away(waiting, None, EntryState::Held, (Reason::Policy, ""), NOW)
            .unwrap();
        done("put_away");
        assert!(store.accept(waiting).unwrap());
        done("accept");
        store
            .put_away(waiting, None, EntryState::Held, (Reason::Policy, ""), NOW)
            .unwrap();
        done("put_away again");
        assert!(store.reject(waiting, NOW).unwrap());
        done("reject");
        let aside = store.entries_named("aside-3").unwrap().remove(0);
        store.retry(aside.number).unwrap();
        done("retry");
        store.drop_entry(aside.number, NOW).unwrap();
        done("drop_entry");
        taken
    }
}

/// A message from its first claim over its retry to its end.
fn claims(store: &mut Store, sender: &Card, done: &mut impl FnMut(&'static str)) {
    let (_, number) = store.next_place(None).unwrap().unwrap();
    let entry = store.new_entry(number).unwrap().unwrap();
    done("next_place of claims");
    let mark = Mark::Native {
        sender: *sender.signing_key().as_bytes(),
        id: [3; 16],
        digest: [2; 32],
        expires: i64::MAX,
    };
    let signer = Some(*sender.signing_key().as_bytes());
    let claim = Claim {
        number: entry.number,
        mark: &mark,
        ordered_by: signer,
        until: NOW,
        most_attempts: None,
        contact: None,
    };
    let claimable = |store: &Store| match store.claimable(&claim).unwrap() {
        Claimable::Yes(fence) => fence,
        other => panic!("{other:?}"),
    };
    let fence = claimable(store);
    done("claimable");
    store.claim(&claim, signer, fence).unwrap();
    done("claim");
    store.renew(&[fence], NOW + 1).unwrap();
    done("renew");
    let again = Settlement::Retry {
        due: NOW + 1,
        why: String::new(),
    };
    assert!(store.settle(fence, &again, NOW).unwrap());
    done("settle for another attempt");
    assert_eq!(store.next_due(NOW).unwrap(), Some(NOW + 1));
    done("next_due");
    assert_eq!(store.due(NOW + 1, 1000).unwrap(), [entry.number]);
    done("due");
    assert!(store.new_entry(entry.number).unwrap().is_some());
    done("new_entry");
    let fence = claimable(store);
    store.claim(&claim, signer, fence).unwrap();
    done("claim again");
    store.reap(NOW + 1, 1000).unwrap();
    done("reap");
    let fence = claimable(store);
    assert_eq!(fence.attempt, 3);
    store.claim(&claim, signer, fence).unwrap();
    done("claim a third time");
    let end = Settlement::Done {
        mark,
        relay_id: None,
        keep: false,
    };
    assert!(store.settle(fence, &end, NOW).unwrap());
    done("settle");
}

/// Counts the instructions that SQLite runs from now on.
fn count_steps(store: &mut Store) -> Arc<AtomicU64> {
    let steps = Arc::new(AtomicU64::new(0));
    let counter = steps.clone();
    let count = move || {
        counter.fetch_add(1, Ordering::Relaxed);
        false
    };
    store.db.progress_handler(1, Some(count)).unwrap();
    steps
}

/// How many steps it takes to find what is next in an outbox in which so many messages to bob miss their
/// receipts and so many wait behind one that is tried later.
fn steps_to_the_next(missing: usize, behind: usize) -> u64 {
    let folder = tempfile::tempdir().unwrap();
    let mut store = Store::open(&folder.path().join("store.sqlite"), Some(RELAY)).unwrap();
    let accepted = Accepted {
        relay_id: None,
        ts: None,
    };
    let filled = store.batch("test", |store| {
        for place in 0..=missing + behind {
            let _enqueued = store.enqueue(&[outgoing()], &[], None, NOW, None)?;
            let settled = match place {
                place if place < missing => Settled::Sent {
                    accepted: &accepted,
                    overdue: NOW + 1000,
                },
                place if place == missing => Settled::Later {
                    due: NOW + 1000,
                    error: String::new(),
                    is_uncertain: false,
                },
                _ => continue,
            };
            let claimed = store.claim_outgoing(NOW, 0)?.unwrap();
            let _next = store.settle_outgoing(&claimed, &settled, NOW, None)?;
        }
        // Each one that was put behind it has made it due.
        let hold = "UPDATE outbox SET due = ?1 WHERE attempt > 0";
        store.db.execute(hold, [NOW + 1000]).unwrap();
        Ok::<_, StoreError>(())
    });
    filled.unwrap();
    let steps = count_steps(&mut store);
    assert!(store.claim_outgoing(NOW, 0).unwrap().is_none());
    steps.load(Ordering::Relaxed)
}

fn outgoing() -> NewOutgoing {
    NewOutgoing {
        id: None,
        outgoing: Outgoing {
            to: Destination::Agent("bob".to_owned()),
            message_type: ctalk_wire::MessageType::Notification,
            topic: None,
            correlation_id: None,
            reply_to: None,
            ttl: None,
            body: Body::Native(String::new()),
        },
        to: vec![To {
            contact: None,
            name: "bob".to_owned(),
        }],
        card: None,
        expires: i64::MAX,
        receipt: true,
    }
}

fn new<'a>(name: &'a str, card: &'a Card) -> NewContact<'a> {
    NewContact {
        name,
        address: Some(name),
        keys: card.public_keys(),
        card: Some(card),
        learned: Learned::Card,
        standing: Standing::Pinned,
    }
}

fn count_key(card: &Card) -> CountKey {
    CountKey::new(card.signing_key().as_bytes(), Some("conversation"))
}

fn card() -> Card {
    let xwing = XWingSecret::generate(&mut crate::rng());
    let key = xwing.public_key().clone();
    let statement = CardStatement {
        name: "x",
        serial: 1,
        created: Timestamp::from_millis(1).unwrap(),
        expires: Timestamp::MAX,
        addresses: &[],
    };
    let identity = Identity::generate(&mut crate::rng()).with_xwing(xwing);
    Card::sign(&identity, &key, &statement).unwrap()
}

fn delivery(text: &str) -> Delivery {
    Delivery {
        relay_id: Some(text.to_owned()),
        sent_at: None,
        raw: text.as_bytes().into(),
    }
}

/// Of an envelope whose mark expires long after this.
fn mark(card: &Card) -> Mark {
    Mark::Native {
        sender: *card.signing_key().as_bytes(),
        id: [1; 16],
        digest: [2; 32],
        expires: i64::MAX,
    }
}

#[test]
fn one_of_many_takes_as_many_steps_as_one_of_few() {
    let cards: Vec<_> = (0..200).map(|_| card()).collect();
    let (held, other) = (&cards[7], card());
    let few = Filled::with(&cards[..10]).work(held, &other);
    let many = Filled::with(&cards).work(held, &other);
    assert_eq!(few.len(), many.len());
    for ((what, few), (_, many)) in few.into_iter().zip(many) {
        // A search may end before the next key or after the last one; a walk takes a step for each of
        // 190 more.
        assert!(few.abs_diff(many) <= 3, "{what}: {few} and {many}");
    }
}

#[test]
fn what_is_next_in_the_outbox_is_found_past_all_that_waits() {
    let few = steps_to_the_next(10, 10);
    let missing = steps_to_the_next(200, 10);
    assert!(missing.abs_diff(few) <= 3, "{few} and {missing}");
    // What is behind another one is looked at, each once.
    let (some, more) = (steps_to_the_next(200, 100), steps_to_the_next(200, 200));
    assert!(more < 3 * some, "{some} and {more}");
}
