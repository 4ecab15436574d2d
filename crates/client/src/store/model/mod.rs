//! The receive state machine as a model, every reachable state of which is checked, within bounds: up to
//! three deliveries of one sender, two workers, two attempts, two decisions of the user.
//!
//! What the model leaves out:
//! - Time is nothing but leases and pauses that run or are over. That they may end at any moment, and
//!   apart from each other, stands for clocks that are set and machines that are started anew.
//! - A transaction is one action, and a crash falls between actions: SQLite's promise.
//! - What a message says, and whether it can be opened; what the policy holds, it holds at random.
//! - A handler is its outcome. What it did before a crash, it may do again: handlers are told so.
//! - Marks of handled messages stay. They do, until nothing with that mark can be opened any more.
//! - The relay delivers in order for the first time, and any delivery again at any time.
//! - Workers look at messages in more orders than they really do: at one to be tried again, or passed
//!   over, whenever they like.

mod flaw;
mod inbox;
mod machine;
mod properties;
mod replay;

use stateright::{Checker, HasDiscoveries, Model, Path};

use self::{
    flaw::Flaw,
    inbox::Delivery,
    machine::{Action, Machine, Moment},
    properties::{ENDS, IN_TURN, LIMITED, NOT_AGAIN, NOT_LOST, ONE_RUN},
};

const IN_ORDER: bool = true;
const IN_ANY_ORDER: bool = false;

/// A message of the only sender.
const fn delivery(message: usize) -> Delivery {
    Delivery { message, sender: 0 }
}

/// Messages that are in the inbox already, and a user who decides nothing.
fn machine(messages: &[usize], workers: &[bool]) -> Machine {
    Machine {
        deliveries: messages.iter().copied().map(delivery).collect(),
        workers: workers.to_vec(),
        concurrency: 1,
        begins_empty: false,
        holds: false,
        decisions: 0,
        flaw: None,
    }
}

/// One message that comes from the relay.
fn arriving() -> Machine {
    Machine {
        begins_empty: true,
        holds: true,
        decisions: 2,
        ..machine(&[0], &[IN_ORDER; 2])
    }
}

/// Two copies of a message.
fn copies() -> Machine {
    Machine {
        holds: true,
        decisions: 1,
        ..machine(&[0, 0], &[IN_ORDER; 2])
    }
}

/// Checks every reachable state.
fn holds(machine: &Machine) {
    let checker = machine.clone().checker();
    let is_same = |pair: &[bool]| pair[0] == pair[1];
    let checker = if machine.workers.windows(2).all(is_same) {
        checker.symmetry_fn(Moment::with_sorted_workers)
    } else {
        checker
    };
    let checker = checker.spawn_dfs().join();
    println!("{} states", checker.unique_state_count());
    checker.assert_properties();
}

/// For each rule: a machine that goes wrong without it, and the property that is broken then.
fn flawed() -> Vec<(Machine, &'static str)> {
    let (one, copies) = (arriving(), copies());
    let loose = Machine {
        workers: vec![IN_ANY_ORDER; 2],
        ..copies.clone()
    };
    let two = machine(&[0, 1], &[IN_ORDER; 2]);
    let three = machine(&[0, 1, 2], &[IN_ORDER; 2]);
    let flaws = [
        (Flaw::AcknowledgesBeforeStoring, &one, NOT_LOST),
        (Flaw::ClaimsWhatRuns, &one, ONE_RUN),
        (Flaw::ClaimsCopies, &loose, ONE_RUN),
        (Flaw::ClaimsWhatWasSeen, &copies, NOT_AGAIN),
        (Flaw::ClaimsOutOfTurn, &two, IN_TURN),
        (Flaw::Overtakes, &three, IN_TURN),
        (Flaw::EndsWhatIsNoCopyNow, &copies, NOT_LOST),
        (Flaw::CrashesAreNotCounted, &one, ENDS),
        (Flaw::CrashesAreNotCounted, &one, LIMITED),
        (Flaw::SettlesWithoutFence, &one, ONE_RUN),
        (Flaw::FenceStartsAgain, &one, ONE_RUN),
        (Flaw::CommitForgets, &copies, NOT_AGAIN),
        (Flaw::DropForgets, &one, NOT_AGAIN),
    ];
    let with = |(flaw, machine, property): (_, &Machine, _)| {
        let machine = Machine {
            flaw: Some(flaw),
            ..machine.clone()
        };
        (machine, property)
    };
    flaws.map(with).into()
}

/// A way in which a machine breaks a property, if the checker finds one.
fn way_to_break(machine: &Machine, property: &'static str) -> Option<Vec<Action>> {
    let checker = machine.clone().checker();
    let checker = checker
        .finish_when(HasDiscoveries::AllOf([property].into()))
        .spawn_bfs()
        .join();
    checker.discovery(property).map(Path::into_actions)
}

#[test]
fn one_message_is_handled_whatever_happens() {
    holds(&arriving());
}

#[test]
fn copies_of_a_message_are_handled_as_one() {
    holds(&copies());
}

#[test]
fn messages_of_a_sender_are_handled_in_order() {
    holds(&machine(&[0, 1, 2], &[IN_ORDER; 2]));
}

#[test]
fn copies_do_not_hold_back_the_next_message() {
    holds(&machine(&[0, 0, 1], &[IN_ORDER; 2]));
}

#[test]
fn workers_that_keep_no_order_block_none_that_do() {
    holds(&machine(&[0, 1], &[IN_ORDER, IN_ANY_ORDER]));
}

#[test]
fn a_worker_with_several_in_hand_is_like_several_workers() {
    holds(&Machine {
        concurrency: 2,
        ..machine(&[0, 1], &[IN_ORDER])
    });
}

/// Without this a property that always holds would prove nothing.
#[test]
fn every_rule_is_needed() {
    for (machine, property) in flawed() {
        let flaw = machine.flaw;
        assert!(way_to_break(&machine, property).is_some(), "{flaw:?}");
    }
}
