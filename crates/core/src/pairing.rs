//! Pairing by a short code: two people who share one get each other's card, and whoever carries the
//! messages can neither read the code out of them nor put in a card of its own. Byte for byte it is
//! described in `docs/PAIRING.md`.
//!
//! | inviter | | joiner |
//! | --- | --- | --- |
//! | [`Code::generate`], told to the joiner by voice or another way | | [`Code::parse`] |
//! | | ← [`Request`] | [`Joining::start`] |
//! | [`Invitation::answer`] | [`Answer`] → | |
//! | | ← [`JoinerConfirmation`] | [`Joining::confirm`] |
//! | [`AwaitingJoiner::finish`] | [`InviterConfirmation`] → | |
//! | | | [`AwaitingInviter::finish`] |
//!
//! A received message goes through [`Message::from_text`] first. What is no pairing message, or belongs
//! to another [`SessionId`], concerns nobody and is left aside. Any other message uses up the state that
//! it is given to, so that one code is one guess for each side. Only after the other side's confirmation
//! there is a [`Paired`] to take its card from.
//!
//! How long a code is good for is the caller's rule. State is kept in memory alone: a program that ends
//! has burnt its code.
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use ctalk_core::pairing::{Code, Invitation, Joining, Message};
//! # use ctalk_core::{Card, CardStatement, Identity, Timestamp, XWingSecret};
//! # let mut rng = getrandom::rand_core::UnwrapErr(getrandom::SysRng);
//! # let now = Timestamp::from_millis(1_800_000_000_000).ok_or("late")?;
//! # let tomorrow = now.checked_add(std::time::Duration::from_secs(86_400)).ok_or("late")?;
//! # let mut card = |name| {
//! #     let identity = Identity::generate(&mut rng).with_xwing(XWingSecret::generate(&mut rng));
//! #     let statement =
//! #         CardStatement { name, serial: 1, created: now, expires: tomorrow, addresses: &[] };
//! #     Card::sign(&identity, identity.xwing_keys().next().ok_or("no key")?, &statement)
//! #         .map_err(|error| error.to_string())
//! # };
//! # let (alices_card, bobs_card) = (card("alice")?, card("bob")?);
//!
//! let code = Code::generate("alice", &mut rng)?;
//! let told = code.to_text();
//! let invitation = Invitation::new(code, alices_card.clone());
//!
//! let (request, joining) = Joining::start(Code::parse(&told)?, bobs_card.clone(), &mut rng);
//!
//! let Message::Request(request) = Message::from_text(&request.to_text(), now)? else {
//!     return Err("no request".into());
//! };
//! let (answer, awaiting_joiner) = invitation.answer(request, &mut rng)?;
//!
//! let Message::Answer(answer) = Message::from_text(&answer.to_text(), now)? else {
//!     return Err("no answer".into());
//! };
//! let (confirmation, awaiting_inviter) = joining.confirm(answer)?;
//!
//! let Message::JoinerConfirmation(confirmation) = Message::from_text(&confirmation.to_text(), now)?
//! else {
//!     return Err("no confirmation".into());
//! };
//! let (confirmation, paired) = awaiting_joiner.finish(&confirmation)?;
//! assert_eq!(paired.into_card(), bobs_card);
//!
//! let Message::InviterConfirmation(confirmation) = Message::from_text(&confirmation.to_text(), now)?
//! else {
//!     return Err("no confirmation".into());
//! };
//! assert_eq!(awaiting_inviter.finish(&confirmation)?.into_card(), alices_card);
//! # Ok(())
//! # }
//! ```

mod code;
mod element;
mod error;
mod exchange;
mod inviter;
mod joiner;
mod message;

pub use code::{CODE_WORDS, Code, CodeError, MAX_CODE_LEN, MAX_CODE_NAME_LEN};
pub use error::{MessageError, PairingError};
pub use inviter::{AwaitingJoiner, Invitation};
pub use joiner::{AwaitingInviter, Joining};
pub use message::{
    Answer, InviterConfirmation, JoinerConfirmation, MAX_MESSAGE_LEN, MAX_MESSAGE_TEXT_LEN,
    MESSAGE_PREFIX, Message, Request, SessionId,
};

use crate::card::Card;

/// The card of the other side, which proved to know the code and to mean both cards.
#[derive(Debug)]
pub struct Paired(Card);

impl Paired {
    /// The other side's card.
    #[must_use]
    pub fn into_card(self) -> Card {
        self.0
    }
}
