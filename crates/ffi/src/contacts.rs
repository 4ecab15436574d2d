//! Contacts: whose keys are pinned, and what they count for.

use std::{ffi::c_char, io::Cursor};

use ctalk::{
    Class, Comparison, ListedContact,
    core::{CARD_PREFIX, Card, Fingerprint, trust::Standing},
    shown,
    store::{Contact, Store},
};
use serde::Serialize;

use crate::{
    bytes::{Bytes, ctalk_bytes},
    caller::{Caller, Out},
    client::{agent, ctalk_client, tell_notices},
    code::{Code, ctalk_code},
    error::{Fault, ctalk_error},
    guard::guard,
    shown::now,
    stopper::ctalk_stopper,
};

/// Most bytes that are written down about a contact.
const MAX_NOTE: usize = 4096;

/// All contacts by name: a JSON list of what `ctalk --json contact list` prints for each.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ctalk_contacts_list(
    client: *const ctalk_client,
    out: *mut *mut ctalk_bytes,
    error: *mut *mut ctalk_error,
) -> ctalk_code {
    // SAFETY: what the header asks of the caller is what `Caller` needs.
    guard(unsafe { Caller::new(error) }, |caller| {
        let out = caller.out(out)?;
        out.put(agent(client)?.briefly(|desk| {
            desk.with_store(|store| {
                let mut list = List::default();
                store.each_contact(|contact| list.push(&shown::Contact::from(&contact)))?;
                list.finish()
            })
        })?);
        Ok(())
    })
}

/// One contact with the key cards that it had, as `ctalk --json contact show` prints it. Like all that name
/// a contact: CTALK_UNKNOWN_CONTACT where there is none of this name.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ctalk_contacts_show(
    client: *const ctalk_client,
    name: *const c_char,
    name_len: usize,
    out: *mut *mut ctalk_bytes,
    error: *mut *mut ctalk_error,
) -> ctalk_code {
    // SAFETY: what the header asks of the caller is what `Caller` needs.
    guard(unsafe { Caller::new(error) }, |caller| {
        let out = caller.out(out)?;
        let name = caller.text(name, name_len)?;
        out.put(agent(client)?.briefly(|desk| {
            desk.with_store(|store| {
                let contact = known(store, name)?;
                let cards = store.card_history(&contact)?;
                Bytes::json(&shown::Contact {
                    cards: Some(cards.iter().map(shown::Card::from).collect()),
                    ..shown::Contact::from(&contact)
                })
            })
        })?);
        Ok(())
    })
}

/// Adds somebody, by the text of a key card or by the relay's name for an agent, under the name `local`, or
/// under the one on the card or of the relay where that is NULL. Like all that change a contact: `out`
/// becomes the contact as `ctalk --json contact` prints it, and may be NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ctalk_contacts_add(
    client: *const ctalk_client,
    peer: *const c_char,
    peer_len: usize,
    local: *const c_char,
    local_len: usize,
    stopper: *const ctalk_stopper,
    out: *mut *mut ctalk_bytes,
    error: *mut *mut ctalk_error,
) -> ctalk_code {
    // SAFETY: what the header asks of the caller is what `Caller` needs.
    guard(unsafe { Caller::new(error) }, |caller| {
        let out = caller.out_or_none(out)?;
        let peer = caller.text(peer, peer_len)?;
        let local = caller.text_or_none(local, local_len)?;
        if let Some(name) = local {
            ctalk::check_name(name)?;
        }
        let contact = agent(client)?.run(stopper, async |at| {
            let mut turn = at.turn().await;
            if peer.starts_with(CARD_PREFIX) {
                let card = Card::from_text(peer).map_err(ctalk::Error::from)?;
                let me = turn.identity()?;
                return turn.with_store(|store| {
                    Ok(ctalk::add_contact(store, &me, &card, local, now())?.0)
                });
            }
            let client = turn.client()?;
            let added = client.add_contact(peer, local).await;
            tell_notices(client, at);
            Ok(added?.0)
        })?;
        answer(out, &contact)
    })
}

/// Pins the keys that the relay shows for a name, if they have this fingerprint (64 hex digits in any
/// grouping), even where that name has other keys so far.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ctalk_contacts_accept_key(
    client: *const ctalk_client,
    name: *const c_char,
    name_len: usize,
    fingerprint: *const c_char,
    fingerprint_len: usize,
    stopper: *const ctalk_stopper,
    out: *mut *mut ctalk_bytes,
    error: *mut *mut ctalk_error,
) -> ctalk_code {
    // SAFETY: what the header asks of the caller is what `Caller` needs.
    guard(unsafe { Caller::new(error) }, |caller| {
        let out = caller.out_or_none(out)?;
        let name = caller.text(name, name_len)?;
        let given = parsed(caller.text(fingerprint, fingerprint_len)?)?;
        let contact = agent(client)?.run(stopper, async |at| {
            let mut turn = at.turn().await;
            let client = turn.client()?;
            let accepted = client.accept_key(name, given).await;
            tell_notices(client, at);
            accepted?;
            let store = client.store();
            match store.contact(name)? {
                Some(contact) => Ok(contact),
                None => store.contact_at(name)?.ok_or_else(|| unknown(name)),
            }
        })?;
        answer(out, &contact)
    })
}

/// What both sides compare to find out whose keys a contact's are, as `ctalk --json contact verify` prints
/// it: `safetyNumber` and `words` are the same on both sides.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ctalk_contacts_compare(
    client: *const ctalk_client,
    name: *const c_char,
    name_len: usize,
    out: *mut *mut ctalk_bytes,
    error: *mut *mut ctalk_error,
) -> ctalk_code {
    // SAFETY: what the header asks of the caller is what `Caller` needs.
    guard(unsafe { Caller::new(error) }, |caller| {
        let out = caller.out(out)?;
        let name = caller.text(name, name_len)?;
        out.put(agent(client)?.briefly(|desk| {
            let me = desk.identity()?;
            desk.with_store(|store| {
                let contact = known(store, name)?;
                if contact.standing == Standing::Blocked {
                    return Err(ctalk::Error::Blocked { name: contact.name }.into());
                }
                let compared = Comparison::new(me.public_keys(), &contact);
                Bytes::json(&shown::Comparison::new(&contact, &compared))
            })
        })?);
        Ok(())
    })
}

/// Marks a contact as verified, provided that this is its fingerprint: 64 hex digits in any grouping, as
/// their owner reads them out, or those of ctalk_contacts_compare once both sides saw the same number.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ctalk_contacts_verify(
    client: *const ctalk_client,
    name: *const c_char,
    name_len: usize,
    fingerprint: *const c_char,
    fingerprint_len: usize,
    out: *mut *mut ctalk_bytes,
    error: *mut *mut ctalk_error,
) -> ctalk_code {
    // SAFETY: what the header asks of the caller is what `Caller` needs.
    guard(unsafe { Caller::new(error) }, |caller| {
        let out = caller.out_or_none(out)?;
        let name = caller.text(name, name_len)?;
        let given = parsed(caller.text(fingerprint, fingerprint_len)?)?;
        let contact = agent(client)?.briefly(|desk| {
            desk.with_store(|store| Ok(ctalk::verify_contact(store, name, given)?))
        })?;
        answer(out, &contact)
    })
}

/// Takes nothing from a contact any more and sends it nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ctalk_contacts_block(
    client: *const ctalk_client,
    name: *const c_char,
    name_len: usize,
    out: *mut *mut ctalk_bytes,
    error: *mut *mut ctalk_error,
) -> ctalk_code {
    // SAFETY: what the header asks of the caller is what `Caller` needs.
    guard(unsafe { Caller::new(error) }, |caller| {
        let out = caller.out_or_none(out)?;
        let name = caller.text(name, name_len)?;
        let contact = judge(client, name, |_| Standing::Blocked)?;
        answer(out, &contact)
    })
}

/// Ends the blocking of a contact, who is to be verified again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ctalk_contacts_unblock(
    client: *const ctalk_client,
    name: *const c_char,
    name_len: usize,
    out: *mut *mut ctalk_bytes,
    error: *mut *mut ctalk_error,
) -> ctalk_code {
    // SAFETY: what the header asks of the caller is what `Caller` needs.
    guard(unsafe { Caller::new(error) }, |caller| {
        let out = caller.out_or_none(out)?;
        let name = caller.text(name, name_len)?;
        let contact = judge(client, name, Standing::after_unblocking)?;
        answer(out, &contact)
    })
}

/// Gives a contact another name: 2 to 32 letters, digits, `_` or `-`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ctalk_contacts_rename(
    client: *const ctalk_client,
    name: *const c_char,
    name_len: usize,
    new_name: *const c_char,
    new_name_len: usize,
    out: *mut *mut ctalk_bytes,
    error: *mut *mut ctalk_error,
) -> ctalk_code {
    // SAFETY: what the header asks of the caller is what `Caller` needs.
    guard(unsafe { Caller::new(error) }, |caller| {
        let out = caller.out_or_none(out)?;
        let name = caller.text(name, name_len)?;
        let new_name = caller.text(new_name, new_name_len)?;
        ctalk::check_name(new_name)?;
        let contact = change(client, name, |store, contact| {
            store.rename_contact(contact, new_name)?;
            known(store, new_name)
        })?;
        answer(out, &contact)
    })
}

/// Writes something down about a contact, at most 4,096 bytes, in place of what was written down before.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ctalk_contacts_note(
    client: *const ctalk_client,
    name: *const c_char,
    name_len: usize,
    note: *const c_char,
    note_len: usize,
    out: *mut *mut ctalk_bytes,
    error: *mut *mut ctalk_error,
) -> ctalk_code {
    // SAFETY: what the header asks of the caller is what `Caller` needs.
    guard(unsafe { Caller::new(error) }, |caller| {
        let out = caller.out_or_none(out)?;
        let name = caller.text(name, name_len)?;
        let note = caller.text(note, note_len)?;
        if note.len() > MAX_NOTE {
            let text = format!("a note has at most {MAX_NOTE} bytes");
            return Err(Fault::new(Code::CTALK_TOO_LONG, text));
        }
        let contact = change(client, name, |store, contact| {
            store.set_notes(contact, note)?;
            known(store, name)
        })?;
        answer(out, &contact)
    })
}

/// Forgets a contact and its keys.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ctalk_contacts_remove(
    client: *const ctalk_client,
    name: *const c_char,
    name_len: usize,
    error: *mut *mut ctalk_error,
) -> ctalk_code {
    // SAFETY: what the header asks of the caller is what `Caller` needs.
    guard(unsafe { Caller::new(error) }, |caller| {
        let name = caller.text(name, name_len)?;
        agent(client)?.briefly(|desk| {
            desk.with_store(|store| match store.remove_contact(name)? {
                true => Ok(()),
                false => Err(unknown(name)),
            })
        })
    })
}

/// All contacts that are not blocked, for another profile to import: what `ctalk contact export` prints, one
/// line of JSON each.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ctalk_contacts_export(
    client: *const ctalk_client,
    out: *mut *mut ctalk_bytes,
    error: *mut *mut ctalk_error,
) -> ctalk_code {
    // SAFETY: what the header asks of the caller is what `Caller` needs.
    guard(unsafe { Caller::new(error) }, |caller| {
        let out = caller.out(out)?;
        out.put(agent(client)?.briefly(|desk| {
            desk.with_store(|store| {
                let (mut lines, mut failure) = (Vec::new(), None);
                store.each_contact(|contact| {
                    if contact.standing != Standing::Blocked {
                        let written =
                            serde_json::to_writer(&mut lines, &ListedContact::from(&contact));
                        failure = written.err();
                        lines.push(b'\n');
                    }
                    failure.is_none()
                })?;
                match failure {
                    None => Ok(Bytes::from(lines)),
                    Some(error) => Err(Fault::new(Code::CTALK_UNEXPECTED, error.to_string())),
                }
            })
        })?);
        Ok(())
    })
}

/// Pins everybody on such a list; none of them is verified by that. `out` becomes a JSON object with how
/// many were `added`, `renewed`, `known` and `refused`, as `ctalk --json contact import` prints it, and
/// `refusals`, a list of objects with `line`, `error`, `class`, `code` and `hint`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ctalk_contacts_import(
    client: *const ctalk_client,
    lines: *const c_char,
    lines_len: usize,
    out: *mut *mut ctalk_bytes,
    error: *mut *mut ctalk_error,
) -> ctalk_code {
    #[derive(Serialize)]
    struct Refusal {
        line: u64,
        #[serde(flatten)]
        failure: shown::Failure<'static>,
    }
    #[derive(Serialize)]
    struct Outcome {
        #[serde(flatten)]
        imported: ctalk::Imported,
        refusals: Vec<Refusal>,
    }
    // SAFETY: what the header asks of the caller is what `Caller` needs.
    guard(unsafe { Caller::new(error) }, |caller| {
        let out = caller.out(out)?;
        let lines = Cursor::new(caller.bytes(lines.cast(), lines_len)?);
        out.put(agent(client)?.briefly(|desk| {
            let me = desk.identity()?;
            desk.with_store(|store| {
                let mut refusals = Vec::new();
                let refuse = |line, error: &ctalk::LineError| {
                    refusals.push(Refusal {
                        line,
                        failure: shown::Failure {
                            error: error.to_string().into(),
                            class: error.class().as_str(),
                            code: error.class().code(),
                            hint: error.hint().map(Into::into),
                        },
                    });
                };
                let imported =
                    ctalk::import_contacts(store, &me, lines, now(), refuse).map_err(|error| {
                        match error {
                            ctalk::ImportError::Store(error) => error.into(),
                            error => Fault::of(Class::Malformed, &error),
                        }
                    })?;
                Bytes::json(&Outcome { imported, refusals })
            })
        })?);
        Ok(())
    })
}

/// A JSON list that is made one element after the other, because all of them together may be large.
#[derive(Default)]
struct List {
    text: Vec<u8>,
    failure: Option<serde_json::Error>,
}

impl List {
    /// Adds an element; false when that failed.
    fn push(&mut self, element: &impl Serialize) -> bool {
        self.text
            .push(if self.text.is_empty() { b'[' } else { b',' });
        self.failure = serde_json::to_writer(&mut self.text, element).err();
        self.failure.is_none()
    }

    fn finish(mut self) -> Result<Bytes, Fault> {
        if let Some(error) = self.failure {
            return Err(Fault::new(Code::CTALK_UNEXPECTED, error.to_string()));
        }
        if self.text.is_empty() {
            self.text.push(b'[');
        }
        self.text.push(b']');
        Ok(Bytes::from(self.text))
    }
}

/// Changes a contact that must exist.
fn change(
    client: *const ctalk_client,
    name: &str,
    how: impl FnOnce(&mut Store, &Contact) -> Result<Contact, Fault>,
) -> Result<Contact, Fault> {
    agent(client)?.briefly(|desk| {
        desk.with_store(|store| {
            let contact = known(store, name)?;
            how(store, &contact)
        })
    })
}

/// Changes a contact's standing.
fn judge(
    client: *const ctalk_client,
    name: &str,
    rule: fn(Standing) -> Standing,
) -> Result<Contact, Fault> {
    change(client, name, |store, contact| {
        let mut contact = contact.clone();
        match store.change_standing(&contact, rule)? {
            None => Err(ctalk::Error::ChangedMeanwhile { name: contact.name }.into()),
            Some(now) => {
                contact.standing = now;
                Ok(contact)
            }
        }
    })
}

fn answer(out: Option<Out<'_, ctalk_bytes>>, contact: &Contact) -> Result<(), Fault> {
    if let Some(out) = out {
        out.put(Bytes::json(&shown::Contact::from(contact))?);
    }
    Ok(())
}

fn known(store: &Store, name: &str) -> Result<Contact, Fault> {
    store.contact(name)?.ok_or_else(|| unknown(name))
}

fn unknown(name: &str) -> Fault {
    let name = name.to_owned();
    ctalk::Error::UnknownContact { name }.into()
}

pub(crate) fn parsed(fingerprint: &str) -> Result<Fingerprint, Fault> {
    let digits: String = fingerprint.split_whitespace().collect();
    digits
        .parse()
        .map_err(|error| Fault::new(Code::CTALK_BAD_ARGUMENT, format!("{error}")))
}
