//! What a verification counts for when something else happens meanwhile.

use ctalk::{
    Error, confirm,
    core::{Fingerprint, trust::Standing},
    store::{Contact, Learned, NewContact, NewKeys, Store},
    verify_contact,
};

use crate::{agents::new_identity, scene::NOW};

fn pinned(store: &mut Store, name: &str) -> Contact {
    let identity = new_identity();
    let new = NewContact {
        name,
        address: None,
        keys: identity.public_keys(),
        card: None,
        learned: Learned::FirstUse,
        standing: Standing::Pinned,
    };
    store.pin(new, NOW).unwrap();
    store.contact(name).unwrap().unwrap()
}

fn standing(store: &Store, name: &str) -> Standing {
    store.contact(name).unwrap().unwrap().standing
}

#[test]
fn keys_that_came_while_others_were_compared_are_not_verified() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.sqlite");
    let mut store = Store::open(&path, None).unwrap();
    let bob = pinned(&mut store, "bob");
    let other = new_identity();
    let new = NewKeys {
        keys: other.public_keys(),
        card: None,
        learned: Learned::Accepted,
        standing: Standing::Pinned,
    };
    // By another process.
    let mut elsewhere = Store::open(&path, None).unwrap();
    elsewhere.replace_keys(&bob, &new, NOW).unwrap();
    let error = confirm(&mut store, bob.clone()).unwrap_err();
    assert!(matches!(error, Error::ChangedMeanwhile { .. }), "{error}");
    assert_eq!(standing(&store, "bob"), Standing::Pinned);

    elsewhere.remove_contact("bob").unwrap();
    let error = confirm(&mut store, bob).unwrap_err();
    assert!(matches!(error, Error::ChangedMeanwhile { .. }), "{error}");
}

#[test]
fn who_was_blocked_while_keys_were_compared_stays_blocked() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = Store::open(&folder.path().join("store.sqlite"), None).unwrap();
    let bob = pinned(&mut store, "bob");
    store.change_standing(&bob, |_| Standing::Blocked).unwrap();
    let error = confirm(&mut store, bob).unwrap_err();
    assert!(matches!(error, Error::Blocked { .. }), "{error}");
    assert_eq!(standing(&store, "bob"), Standing::Blocked);
}

#[test]
fn a_contact_is_not_verified_by_the_fingerprint_of_another() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = Store::open(&folder.path().join("store.sqlite"), None).unwrap();
    let (bob, carol) = (pinned(&mut store, "bob"), pinned(&mut store, "carol"));
    let native = Fingerprint::native(bob.keys.verifying());
    for wrong in [carol.fingerprint(), native] {
        let error = verify_contact(&mut store, "bob", wrong).unwrap_err();
        assert!(matches!(error, Error::WrongFingerprint { .. }), "{error}");
    }
    assert_eq!(standing(&store, "bob"), Standing::Pinned);
    let verified = verify_contact(&mut store, "BOB", bob.fingerprint()).unwrap();
    assert_eq!(verified.standing, Standing::Verified);
    assert_eq!(standing(&store, "bob"), Standing::Verified);
    assert_eq!(standing(&store, "carol"), Standing::Pinned);
}
