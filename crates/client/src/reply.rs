//! Replies: what a handler says goes back to whoever asked.

use ctalk_wire::MessageType;

use crate::{
    client::Client,
    error::Error,
    message::{Content, Draft, Received},
    send,
    store::{Contact, NewOutgoing},
};

/// Whether a message asks for a response, of somebody who can be given one. Responses and notifications
/// are never answered, else two agents could answer each other for ever.
pub(crate) fn is_wanted(message: &Received) -> bool {
    message.from.is_some() && message.message_type == MessageType::Request.as_str()
}

/// Seals the response to a message for the contact that sent it.
///
/// The pinned keys and card of the sender are all that counts, and the relay is not asked.
///
/// # Errors
/// Those of sealing.
pub(crate) fn seal(
    client: &mut Client,
    contact: &Contact,
    message: &Received,
    content: Content,
) -> Result<Vec<NewOutgoing>, Error> {
    let mut draft = Draft::new(content);
    draft.message_type = MessageType::Response;
    draft.topic.clone_from(&message.topic);
    draft.correlation_id.clone_from(&message.correlation_id);
    draft.reply_to.clone_from(&message.id);
    let recipient = [contact.name.clone()];
    let plan = send::sealed(client, None, &recipient, &draft);
    for outcome in plan.outcomes {
        let _ = outcome?;
    }
    Ok(plan.messages)
}
