//! Contacts and trust.

use std::ptr;

use serde_json::{Value, json};

use super::agents::{Agent, Failed, Scene, attempt, bytes, chars, obtain, obtain_json, text};
use crate::{
    bytes::ctalk_bytes,
    card::ctalk_card_text,
    client::{ctalk_client, ctalk_client_card},
    code::ctalk_code,
    contacts::*,
    error::ctalk_error,
};

type About = unsafe extern "C" fn(
    *const ctalk_client,
    *const std::ffi::c_char,
    usize,
    *mut *mut ctalk_bytes,
    *mut *mut ctalk_error,
) -> ctalk_code;

type AboutWith = unsafe extern "C" fn(
    *const ctalk_client,
    *const std::ffi::c_char,
    usize,
    *const std::ffi::c_char,
    usize,
    *mut *mut ctalk_bytes,
    *mut *mut ctalk_error,
) -> ctalk_code;

fn about(agent: &Agent, function: About, name: &str) -> Result<Value, Failed> {
    let (name, len) = chars(name);
    // SAFETY: what is given outlives the call.
    obtain_json(|out, error| unsafe { function(agent.0.0, name, len, out, error) })
}

fn about_with(
    agent: &Agent,
    function: AboutWith,
    name: &str,
    value: &str,
) -> Result<Value, Failed> {
    let ((name, len), (value, value_len)) = (chars(name), chars(value));
    // SAFETY: what is given outlives the call.
    obtain_json(|out, error| unsafe {
        function(agent.0.0, name, len, value, value_len, out, error)
    })
}

fn add(agent: &Agent, peer: &str, local: Option<&str>) -> Result<Value, Failed> {
    let (peer, len) = chars(peer);
    let (local, local_len) = local.map_or((ptr::null(), 0), chars);
    // SAFETY: what is given outlives the call.
    obtain_json(|out, error| unsafe {
        ctalk_contacts_add(
            agent.0.0,
            peer,
            len,
            local,
            local_len,
            ptr::null(),
            out,
            error,
        )
    })
}

fn list(agent: &Agent) -> Vec<Value> {
    // SAFETY: what is given outlives the call.
    let listed = obtain_json(|out, error| unsafe { ctalk_contacts_list(agent.0.0, out, error) });
    listed.unwrap().as_array().unwrap().clone()
}

fn card(agent: &Agent) -> String {
    // SAFETY: what is given outlives the call.
    let card = obtain(|out, error| unsafe { ctalk_client_card(agent.0.0, out, error) });
    text(ctalk_card_text(card.unwrap().0))
}

#[test]
fn a_contact_is_added_by_card_or_name_and_listed() {
    let scene = Scene::new();
    let (alice, bob) = (scene.agent("alice"), scene.agent("bob"));
    let _carol = scene.agent("carol");
    assert!(list(&alice).is_empty());
    let added = add(&alice, &card(&bob), Some("robert")).unwrap();
    assert_eq!(added["name"], "robert");
    assert_eq!(added["standing"], "pinned");
    assert_eq!(added["learned"], "card");
    assert_eq!(added["format"], "native");
    assert_eq!(add(&alice, "carol", None).unwrap()["address"], "carol");
    let names: Vec<_> = list(&alice)
        .iter()
        .map(|contact| contact["name"].clone())
        .collect();
    assert_eq!(names, ["carol", "robert"]);
    let shown = about(&alice, ctalk_contacts_show, "robert").unwrap();
    assert_eq!(shown["cards"].as_array().unwrap().len(), 1);
    assert_eq!(shown["fingerprint"], added["fingerprint"]);
    let failed = add(&alice, "nobody", None).unwrap_err();
    assert_eq!(failed.code, ctalk_code::CTALK_RELAY_REFUSED);
    let failed = add(&alice, "ctalk-card:AAAA", None).unwrap_err();
    assert_eq!(failed.code, ctalk_code::CTALK_MALFORMED);
}

#[test]
fn both_sides_see_the_same_number_and_verify_by_fingerprint() {
    let scene = Scene::new();
    let (alice, bob) = (scene.agent("alice"), scene.agent("bob"));
    add(&alice, &card(&bob), None).unwrap();
    add(&bob, &card(&alice), None).unwrap();
    let theirs = about(&alice, ctalk_contacts_compare, "bob").unwrap();
    let ours = about(&bob, ctalk_contacts_compare, "alice").unwrap();
    assert_eq!(theirs["safetyNumber"], ours["safetyNumber"]);
    assert_eq!(theirs["words"], ours["words"]);
    assert_eq!(theirs["fingerprint"], ours["ownFingerprint"]);
    let fingerprint = theirs["fingerprint"].as_str().unwrap();
    let wrong = fingerprint.chars().rev().collect::<String>();
    let failed = about_with(&alice, ctalk_contacts_verify, "bob", &wrong).unwrap_err();
    assert_eq!(failed.code, ctalk_code::CTALK_NOT_TRUSTED);
    let failed = about_with(&alice, ctalk_contacts_verify, "bob", "12").unwrap_err();
    assert_eq!(failed.code, ctalk_code::CTALK_BAD_ARGUMENT);
    let verified = about_with(&alice, ctalk_contacts_verify, "bob", fingerprint).unwrap();
    assert_eq!(verified["standing"], "verified");
}

#[test]
fn a_blocked_contact_gets_nothing_until_it_is_unblocked() {
    let scene = Scene::new();
    let (alice, _bob) = (scene.agent("alice"), scene.agent("bob"));
    add(&alice, "bob", None).unwrap();
    let blocked = about(&alice, ctalk_contacts_block, "bob").unwrap();
    assert_eq!(blocked["standing"], "blocked");
    let failed = alice.send(b"hello", &json!({ "to": "bob" })).unwrap_err();
    assert_eq!(failed.code, ctalk_code::CTALK_REFUSED);
    let failed = about(&alice, ctalk_contacts_compare, "bob").unwrap_err();
    assert_eq!(failed.code, ctalk_code::CTALK_REFUSED);
    let unblocked = about(&alice, ctalk_contacts_unblock, "bob").unwrap();
    assert_eq!(unblocked["standing"], "pinned");
    alice.say("bob", "hello");
}

#[test]
fn a_contact_is_renamed_annotated_and_forgotten() {
    let scene = Scene::new();
    let (alice, _bob) = (scene.agent("alice"), scene.agent("bob"));
    add(&alice, "bob", None).unwrap();
    let renamed = about_with(&alice, ctalk_contacts_rename, "bob", "robert").unwrap();
    assert_eq!(renamed["name"], "robert");
    let noted = about_with(&alice, ctalk_contacts_note, "robert", "at the fair").unwrap();
    assert_eq!(noted["notes"], "at the fair");
    let long = "x".repeat(4097);
    let failed = about_with(&alice, ctalk_contacts_note, "robert", &long).unwrap_err();
    assert_eq!(failed.code, ctalk_code::CTALK_TOO_LONG);
    let remove = |name| {
        let (name, len) = chars(name);
        // SAFETY: what is given outlives the call.
        attempt(|error| unsafe { ctalk_contacts_remove(alice.0.0, name, len, error) })
    };
    remove("robert").unwrap();
    let unknown = Err(ctalk_code::CTALK_UNKNOWN_CONTACT);
    assert_eq!(remove("robert").map_err(|failed| failed.code), unknown);
    let functions: [About; 4] = [
        ctalk_contacts_show,
        ctalk_contacts_compare,
        ctalk_contacts_block,
        ctalk_contacts_unblock,
    ];
    for function in functions {
        let failed = about(&alice, function, "robert").map(|_| ());
        assert_eq!(failed.map_err(|failed| failed.code), unknown);
    }
}

#[test]
fn what_one_profile_exports_another_imports_without_trust() {
    let scene = Scene::new();
    let (alice, bob) = (scene.agent("alice"), scene.agent("bob"));
    let carol = scene.agent("carol");
    let added = add(&alice, &card(&bob), None).unwrap();
    let fingerprint = added["fingerprint"].as_str().unwrap();
    about_with(&alice, ctalk_contacts_verify, "bob", fingerprint).unwrap();
    // SAFETY: what is given outlives the call.
    let exported = obtain(|out, error| unsafe { ctalk_contacts_export(alice.0.0, out, error) });
    let mut lines = bytes(exported.unwrap().0);
    lines.extend_from_slice(b"nonsense\n");
    // SAFETY: what is given outlives the call.
    let imported = obtain_json(|out, error| unsafe {
        ctalk_contacts_import(carol.0.0, lines.as_ptr().cast(), lines.len(), out, error)
    });
    let imported = imported.unwrap();
    assert_eq!(
        (&imported["added"], &imported["refused"]),
        (&json!(1), &json!(1))
    );
    assert_eq!(imported["refusals"][0]["line"], 2);
    assert_eq!(imported["refusals"][0]["class"], "malformed");
    let shown = about(&carol, ctalk_contacts_show, "bob").unwrap();
    assert_eq!(shown["standing"], "pinned");
}

#[test]
fn other_keys_do_not_take_a_contacts_name() {
    let scene = Scene::new();
    let (alice, bob) = (scene.agent("alice"), scene.agent("bob"));
    add(&alice, "bob", None).unwrap();
    drop(bob);
    // Another identity under the same name, at another relay.
    let elsewhere = Scene::new();
    let impostor = elsewhere.agent("bob");
    let failed = add(&alice, &card(&impostor), Some("bob")).unwrap_err();
    assert_eq!(failed.code, ctalk_code::CTALK_NOT_TRUSTED);
    let fingerprint = "0".repeat(64);
    let ((name, len), (digits, digits_len)) = (chars("bob"), chars(&fingerprint));
    // SAFETY: what is given outlives the call.
    let failed = obtain_json(|out, error| unsafe {
        let none = ptr::null();
        ctalk_contacts_accept_key(alice.0.0, name, len, digits, digits_len, none, out, error)
    });
    assert_eq!(failed.unwrap_err().code, ctalk_code::CTALK_NOT_TRUSTED);
}
