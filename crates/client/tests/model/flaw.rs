//! Ways to get it wrong, each of which the checker has to notice.

/// One rule left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flaw {
    /// The relay may forget what is not in the inbox yet.
    AcknowledgedBeforeStored,
    /// A row is claimed though somebody's lease on it runs.
    ClaimIgnoresLeases,
    /// A row is claimed though a copy of the message is in somebody's hands.
    ClaimIgnoresCopies,
    /// Whether a message was handled is looked up before the claim, not in it.
    ClaimIgnoresSeen,
    /// A row is claimed though an earlier one of the sender is not settled.
    ClaimIgnoresSenders,
    /// A row whose lease is over holds back earlier ones of the sender.
    LaterRowsHoldBack,
    /// A claim that ends in a crash is no attempt.
    CrashesAreNotCounted,
    /// Whoever claimed a row may settle it, however long ago that was.
    SettlesWithoutFence,
    /// The fence is the attempt, which the user's retry sets back to zero.
    FenceStartsAgain,
    /// What was handled is not remembered.
    CommitForgets,
    /// A dead letter that the user drops is not remembered.
    DropForgets,
    /// Accepting a held message leaves its attempts as they were.
    AcceptKeepsAttempts,
}
