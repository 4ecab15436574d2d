//! The side that was told the code.

use core::fmt;

use rand_core::CryptoRng;

use super::{
    Paired,
    code::Code,
    error::PairingError,
    exchange::{Exchange, Role, Tag},
    message::{
        Answer, Confirmation, Introduction, InviterConfirmation, JoinerConfirmation, Message,
        Request, SessionId,
    },
};
use crate::card::Card;

/// A joiner that has sent its request and waits for the answer.
pub struct Joining {
    exchange: Exchange,
    request: Introduction,
}

impl Joining {
    /// Begins an attempt with a code, to give the inviter `card`. The code is used up.
    pub fn start(code: Code, card: Card, rng: &mut impl CryptoRng) -> (Message, Self) {
        let session = SessionId::generate(rng);
        let exchange = Exchange::start(Role::Joiner, code, rng);
        let request = Introduction {
            session,
            element: *exchange.element(),
            card,
        };
        let message = Message::Request(Request(request.clone()));
        (message, Self { exchange, request })
    }

    /// The attempt whose messages belong here; others are left aside.
    #[must_use]
    pub const fn session(&self) -> &SessionId {
        &self.request.session
    }

    /// Proves to whoever answered that this side knows the code.
    ///
    /// # Errors
    ///
    /// [`PairingError::OtherSession`] or [`PairingError::Reflected`].
    pub fn confirm(self, answer: Answer) -> Result<(Message, AwaitingInviter), PairingError> {
        let Answer(answer) = answer;
        let confirmations = self.exchange.finish(&self.request, &answer)?;
        let own = Confirmation {
            session: answer.session,
            tag: confirmations.joiner,
        };
        let awaiting = AwaitingInviter {
            session: answer.session,
            expected: confirmations.inviter,
            card: answer.card,
        };
        Ok((
            Message::JoinerConfirmation(JoinerConfirmation(own)),
            awaiting,
        ))
    }
}

impl fmt::Debug for Joining {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            exchange: _,
            request,
        } = self;
        formatter
            .debug_struct("Joining")
            .field("session", &request.session)
            .finish_non_exhaustive()
    }
}

/// The joiner has confirmed, and the inviter has to prove that it knows the code.
pub struct AwaitingInviter {
    session: SessionId,
    expected: Tag,
    card: Card,
}

impl AwaitingInviter {
    /// The attempt whose messages belong here; others are left aside.
    #[must_use]
    pub const fn session(&self) -> &SessionId {
        &self.session
    }

    /// Checks the inviter's confirmation. Only after that there is the inviter's card.
    ///
    /// # Errors
    ///
    /// [`PairingError::OtherSession`] or [`PairingError::NotConfirmed`].
    pub fn finish(self, confirmation: &InviterConfirmation) -> Result<Paired, PairingError> {
        let InviterConfirmation(received) = confirmation;
        if received.session != self.session {
            return Err(PairingError::OtherSession);
        }
        self.expected.check(&received.tag)?;
        Ok(Paired(self.card))
    }
}

impl fmt::Debug for AwaitingInviter {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            session,
            expected: _,
            card: _,
        } = self;
        formatter
            .debug_struct("AwaitingInviter")
            .field("session", session)
            .finish_non_exhaustive()
    }
}
