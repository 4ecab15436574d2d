//! Alice invites, bob joins, and every message passes through the test's hands as bytes.

use std::sync::LazyLock;

use ctalk_core::{
    Card,
    pairing::{
        Answer, AwaitingInviter, AwaitingJoiner, Code, Invitation, InviterConfirmation,
        JoinerConfirmation, Joining, Message, MessageError, Paired, PairingError, Request,
    },
};

use crate::support::{CREATED, Seeded, alice, at, bob};

/// Where the step is, and what follows it.
pub(crate) const STEP: usize = 8;
pub(crate) const SESSION: usize = 9;
pub(crate) const VALUE: usize = 25;
pub(crate) const CARD: usize = 57;

pub(crate) const CODE: &str = "alice-abandon-zoo-ability-wild";

/// Made once, because making keys takes longer than pairing.
pub(crate) static ALICES_CARD: LazyLock<Card> = LazyLock::new(|| alice().card());
pub(crate) static BOBS_CARD: LazyLock<Card> = LazyLock::new(|| bob().card());

pub(crate) fn code() -> Code {
    Code::parse(CODE).unwrap()
}

/// Alice with a code.
pub(crate) fn invitation(code: Code) -> Invitation {
    Invitation::new(code, ALICES_CARD.clone())
}

/// Bob with a code, and his request.
pub(crate) fn joining(code: Code) -> (Vec<u8>, Joining) {
    joining_as(code, BOBS_CARD.clone(), "joiner")
}

pub(crate) fn joining_as(code: Code, card: Card, seed: &str) -> (Vec<u8>, Joining) {
    let (message, joining) = Joining::start(code, card, &mut Seeded::new(seed));
    (message.to_bytes(), joining)
}

pub(crate) fn parse(bytes: &[u8]) -> Result<Message, MessageError> {
    Message::parse(bytes, at(CREATED))
}

pub(crate) fn request(bytes: &[u8]) -> Request {
    let Message::Request(request) = parse(bytes).unwrap() else {
        panic!("no request")
    };
    request
}

pub(crate) fn answer(bytes: &[u8]) -> Answer {
    let Message::Answer(answer) = parse(bytes).unwrap() else {
        panic!("no answer")
    };
    answer
}

pub(crate) fn joiner_confirmation(bytes: &[u8]) -> JoinerConfirmation {
    let Message::JoinerConfirmation(confirmation) = parse(bytes).unwrap() else {
        panic!("no confirmation of the joiner")
    };
    confirmation
}

pub(crate) fn inviter_confirmation(bytes: &[u8]) -> InviterConfirmation {
    let Message::InviterConfirmation(confirmation) = parse(bytes).unwrap() else {
        panic!("no confirmation of the inviter")
    };
    confirmation
}

/// Alice answers, with other randomness for every attempt.
pub(crate) fn answered(invitation: Invitation, bytes: &[u8]) -> (Vec<u8>, AwaitingJoiner) {
    let seed = format!("inviter/{}", hex::encode(&bytes[SESSION..VALUE]));
    answered_as(invitation, bytes, &seed)
}

pub(crate) fn answered_as(
    invitation: Invitation,
    bytes: &[u8],
    seed: &str,
) -> (Vec<u8>, AwaitingJoiner) {
    let (message, awaiting) = invitation
        .answer(request(bytes), &mut Seeded::new(seed))
        .unwrap();
    (message.to_bytes(), awaiting)
}

/// Bob confirms.
pub(crate) fn confirmed(
    joining: Joining,
    bytes: &[u8],
) -> Result<(Vec<u8>, AwaitingInviter), PairingError> {
    joining
        .confirm(answer(bytes))
        .map(|(message, awaiting)| (message.to_bytes(), awaiting))
}

/// Alice checks bob's confirmation and gives hers.
pub(crate) fn inviter_finished(
    awaiting: AwaitingJoiner,
    bytes: &[u8],
) -> Result<(Vec<u8>, Paired), PairingError> {
    awaiting
        .finish(&joiner_confirmation(bytes))
        .map(|(message, paired)| (message.to_bytes(), paired))
}

/// What became of a pairing: the card each side got, and what was on the wire.
pub(crate) struct Outcome {
    pub(crate) inviter: Result<Card, PairingError>,
    /// Nothing when the inviter had nothing to say any more.
    pub(crate) joiner: Option<Result<Card, PairingError>>,
    pub(crate) wire: Vec<Vec<u8>>,
}

impl Outcome {
    pub(crate) fn is_failure(&self) -> bool {
        self.inviter.is_err() && self.joiner.as_ref().is_none_or(Result::is_err)
    }
}

/// Everything from request to last confirmation. `relay` may alter each message, told by its step,
/// and what it makes has to be a message.
pub(crate) fn pair(
    invitation: Invitation,
    (request, joining): (Vec<u8>, Joining),
    mut relay: impl FnMut(u8, &mut Vec<u8>),
) -> Outcome {
    let mut wire = Vec::new();
    let mut carry = |mut bytes: Vec<u8>| {
        relay(bytes[STEP], &mut bytes);
        wire.push(bytes.clone());
        bytes
    };
    let (answer, awaiting_joiner) = answered(invitation, &carry(request));
    let (inviter, joiner) = match confirmed(joining, &carry(answer)) {
        Err(error) => (Err(PairingError::NotConfirmed), Some(Err(error))),
        Ok((confirmation, awaiting_inviter)) => {
            match inviter_finished(awaiting_joiner, &carry(confirmation)) {
                Err(error) => (Err(error), None),
                Ok((confirmation, paired)) => {
                    let last = inviter_confirmation(&carry(confirmation));
                    let joiner = awaiting_inviter.finish(&last).map(Paired::into_card);
                    (Ok(paired.into_card()), Some(joiner))
                }
            }
        }
    };
    Outcome {
        inviter,
        joiner,
        wire,
    }
}

/// A pairing of alice and bob that nobody disturbs.
pub(crate) fn honest() -> Outcome {
    pair(invitation(code()), joining(code()), |_, _| ())
}
