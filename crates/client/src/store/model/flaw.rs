//! Ways to get it wrong, each of which the checker has to notice.

/// One rule left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flaw {
    /// The relay may forget what is not in the inbox yet.
    AcknowledgesBeforeStoring,
    /// A row is claimed though somebody runs it.
    ClaimsWhatRuns,
    /// A row is claimed though a copy of the message is in somebody's hands.
    ClaimsCopies,
    /// Whether a message was handled is looked up before the claim, not in it.
    ClaimsWhatWasSeen,
    /// A row is claimed though an earlier one of the sender is not settled.
    ClaimsOutOfTurn,
    /// A worker that passed over a row because it has to wait goes on with a later one of the sender.
    Overtakes,
    /// What was a copy when it was read is ended, though the other copy is known no more.
    EndsWhatIsNoCopyNow,
    /// A claim that ends in a crash is no attempt.
    CrashesAreNotCounted,
    /// Whoever claimed a row may settle it, however long ago that was.
    SettlesWithoutFence,
    /// The fence is the attempt, which begins again when the user retries.
    FenceStartsAgain,
    /// What was handled is not remembered.
    CommitForgets,
    /// What the user drops after it was claimed is not remembered.
    DropForgets,
}
