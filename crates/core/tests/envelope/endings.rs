//! Identities that end: who may follow, and what is refused from then on.

use ctalk_core::{
    Fingerprint, Revocation, Succession, VerifyingKey,
    trust::{self, Ended, Ending, RevocationStep, SuccessionRefused, SuccessionStep},
};

use crate::support::{CREATED, DAY, Person, SKEW, alice, at, bob, carol};

fn succession(old: &Person, new: &Person, created: u64) -> Succession {
    Succession::sign(&old.identity(), &new.identity(), at(created)).unwrap()
}

fn key(person: &Person) -> VerifyingKey {
    VerifyingKey::from_bytes(person.verifying()).unwrap()
}

fn fingerprint(person: &Person) -> Fingerprint {
    Fingerprint::native(&key(person))
}

fn succeeded_by(person: &Person) -> Ending {
    Ending::Succeeded {
        successor: key(person),
    }
}

#[test]
fn the_first_successor_is_followed_and_naming_it_again_changes_nothing() {
    let first = succession(&alice(), &bob(), CREATED);
    assert_eq!(
        trust::succession(None, None, &first, at(CREATED)),
        Ok(SuccessionStep::First)
    );
    let known = succeeded_by(&bob());
    for created in [CREATED - DAY, CREATED, CREATED + DAY] {
        let again = succession(&alice(), &bob(), created);
        assert_eq!(
            trust::succession(Some(&known), None, &again, at(CREATED)),
            Ok(SuccessionStep::Same)
        );
    }
}

#[test]
fn a_second_successor_is_refused_whatever_its_time_and_both_are_named() {
    let known = succeeded_by(&bob());
    for created in [0, CREATED - DAY, CREATED, CREATED + DAY] {
        let second = succession(&alice(), &carol(), created);
        let refused = trust::succession(Some(&known), None, &second, at(CREATED)).unwrap_err();
        assert_eq!(
            refused,
            SuccessionRefused::Second {
                identity: fingerprint(&alice()),
                first: fingerprint(&bob()),
                second: fingerprint(&carol()),
            }
        );
        for person in [alice(), bob(), carol()] {
            let named = fingerprint(&person).to_string();
            assert!(refused.to_string().contains(&named), "{refused}");
        }
    }
}

#[test]
fn a_succession_from_the_future_is_refused_beyond_the_tolerance() {
    let offered = succession(&alice(), &bob(), CREATED);
    assert_eq!(
        trust::succession(None, None, &offered, at(CREATED - SKEW)),
        Ok(SuccessionStep::First)
    );
    assert_eq!(
        trust::succession(None, None, &offered, at(CREATED - SKEW - 1)),
        Err(SuccessionRefused::Future {
            identity: fingerprint(&alice())
        })
    );
    // It may come as late as it likes.
    assert_eq!(
        trust::succession(None, None, &offered, at(CREATED + 10_000 * DAY)),
        Ok(SuccessionStep::First)
    );
}

#[test]
fn a_revoked_identity_names_no_successor_whatever_the_times() {
    for created in [0, CREATED] {
        let offered = succession(&alice(), &bob(), created);
        assert_eq!(
            trust::succession(Some(&Ending::Revoked), None, &offered, at(CREATED)),
            Err(SuccessionRefused::Revoked {
                identity: fingerprint(&alice())
            })
        );
    }
}

#[test]
fn no_succession_leads_to_an_identity_that_has_ended() {
    // Bob, who had succeeded alice, hands back to her: her old key would count again.
    let back = succession(&bob(), &alice(), CREATED);
    for ending in [
        succeeded_by(&bob()),
        succeeded_by(&carol()),
        Ending::Revoked,
    ] {
        assert_eq!(
            trust::succession(None, Some(&ending), &back, at(CREATED)),
            Err(SuccessionRefused::ToEnded {
                identity: fingerprint(&bob()),
                successor: fingerprint(&alice()),
            })
        );
    }
}

#[test]
fn a_revocation_is_final_and_is_reported_after_a_succession() {
    // Its time is no argument of the rule.
    let revocation = Revocation::sign(&alice().identity(), at(CREATED + 10_000 * DAY));
    assert_eq!(revocation.identity(), &key(&alice()));
    assert_eq!(trust::revocation(None), RevocationStep::First);
    assert_eq!(
        trust::revocation(Some(&Ending::Revoked)),
        RevocationStep::Same
    );
    assert_eq!(
        trust::revocation(Some(&succeeded_by(&bob()))),
        RevocationStep::AfterSuccession
    );
}

#[test]
fn an_identity_that_has_ended_is_refused_and_its_successor_named() {
    let alices = key(&alice());
    assert_eq!(trust::not_ended(&alices, None), Ok(()));
    assert_eq!(
        trust::not_ended(&alices, Some(&Ending::Revoked)),
        Err(Ended::Revoked {
            identity: fingerprint(&alice())
        })
    );
    let refused = trust::not_ended(&alices, Some(&succeeded_by(&bob()))).unwrap_err();
    assert_eq!(
        refused,
        Ended::Succeeded {
            identity: fingerprint(&alice()),
            successor: fingerprint(&bob()),
        }
    );
    for person in [alice(), bob()] {
        let named = fingerprint(&person).to_string();
        assert!(refused.to_string().contains(&named), "{refused}");
    }
}
