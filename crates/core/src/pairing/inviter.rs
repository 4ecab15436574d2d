//! The side that makes the code.

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

/// A code that somebody may use once.
#[derive(Debug)]
pub struct Invitation {
    code: Code,
    card: Card,
}

impl Invitation {
    /// Waits for whoever knows `code`, to give them `card`.
    #[must_use]
    pub const fn new(code: Code, card: Card) -> Self {
        Self { code, card }
    }

    /// Answers a joiner, whoever it is. The code is used up, whatever comes of it.
    ///
    /// # Errors
    ///
    /// [`PairingError::Reflected`], which only broken randomness on both sides can cause.
    pub fn answer(
        self,
        request: Request,
        rng: &mut impl CryptoRng,
    ) -> Result<(Message, AwaitingJoiner), PairingError> {
        let Self { code, card } = self;
        let Request(request) = request;
        let exchange = Exchange::start(Role::Inviter, code, rng);
        let answer = Introduction {
            session: request.session,
            element: *exchange.element(),
            card,
        };
        let confirmations = exchange.finish(&request, &answer)?;
        let awaiting = AwaitingJoiner {
            session: request.session,
            expected: confirmations.joiner,
            own: confirmations.inviter,
            card: request.card,
        };
        Ok((Message::Answer(Answer(answer)), awaiting))
    }
}

/// A joiner was answered and has to prove that it knows the code.
pub struct AwaitingJoiner {
    session: SessionId,
    expected: Tag,
    own: Tag,
    card: Card,
}

impl AwaitingJoiner {
    /// The attempt whose messages belong here; others are left aside.
    #[must_use]
    pub const fn session(&self) -> &SessionId {
        &self.session
    }

    /// Checks the joiner's confirmation. Only after that there is the inviter's own, which the joiner
    /// waits for, and the joiner's card.
    ///
    /// # Errors
    ///
    /// [`PairingError::OtherSession`] or [`PairingError::NotConfirmed`].
    pub fn finish(
        self,
        confirmation: &JoinerConfirmation,
    ) -> Result<(Message, Paired), PairingError> {
        let JoinerConfirmation(received) = confirmation;
        if received.session != self.session {
            return Err(PairingError::OtherSession);
        }
        self.expected.check(&received.tag)?;
        let own = Confirmation {
            session: self.session,
            tag: self.own,
        };
        Ok((
            Message::InviterConfirmation(InviterConfirmation(own)),
            Paired(self.card),
        ))
    }
}

impl fmt::Debug for AwaitingJoiner {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            session,
            expected: _,
            own: _,
            card: _,
        } = self;
        formatter
            .debug_struct("AwaitingJoiner")
            .field("session", session)
            .finish_non_exhaustive()
    }
}
