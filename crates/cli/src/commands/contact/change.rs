//! What the user decides about a contact.

use anyhow::Result;
use ctalk::{
    Error,
    core::trust::Standing,
    store::{Contact, Store},
    text::{distinct, escaped},
};
use serde::Serialize;

use super::{known, shown};
use crate::output::Output;

#[derive(Serialize)]
struct Removed<'a> {
    removed: &'a str,
}

pub(super) fn rename(mut store: Store, name: String, new: &str, output: &Output) -> Result<()> {
    let contact = known(&store, name)?;
    store.rename_contact(&contact, new)?;
    let done = format!("renamed {} to {new}", distinct(&contact.name));
    changed(&known(&store, new.to_owned())?, &done, output)
}

pub(super) fn block(store: Store, name: String, output: &Output) -> Result<()> {
    judge(store, name, |_| Standing::Blocked, output)
}

pub(super) fn unblock(store: Store, name: String, output: &Output) -> Result<()> {
    judge(store, name, Standing::after_unblocking, output)
}

pub(super) fn note(mut store: Store, name: String, text: &str, output: &Output) -> Result<()> {
    let contact = known(&store, name)?;
    store.set_notes(&contact, text)?;
    let done = format!("noted for {}", distinct(&contact.name));
    changed(&known(&store, contact.name)?, &done, output)
}

pub(super) fn remove(mut store: Store, name: String, output: &Output) -> Result<()> {
    if !store.remove_contact(&name)? {
        return Err(Error::UnknownContact { name }.into());
    }
    if output.is_json() {
        return output.object(&Removed { removed: &name });
    }
    output.line(&format!("removed {}", escaped(&name)))
}

/// Says what a contact's standing is now.
pub(super) fn standing(contact: &Contact, output: &Output) -> Result<()> {
    let done = format!("{} is {}", distinct(&contact.name), contact.standing);
    changed(contact, &done, output)
}

fn judge(
    mut store: Store,
    name: String,
    rule: fn(Standing) -> Standing,
    output: &Output,
) -> Result<()> {
    let mut contact = known(&store, name)?;
    match store.change_standing(&contact, rule)? {
        None => Err(Error::ChangedMeanwhile { name: contact.name }.into()),
        Some(now) => {
            contact.standing = now;
            standing(&contact, output)
        }
    }
}

fn changed(contact: &Contact, done: &str, output: &Output) -> Result<()> {
    if output.is_json() {
        shown::contact(contact, output)
    } else {
        output.line(done)
    }
}
