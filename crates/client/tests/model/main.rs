//! The receive state machine as a model, every reachable state of which is checked, within bounds: a
//! message, its copies and its sender's next one, two workers, two attempts, two decisions of the user.
//!
//! What the model leaves out:
//! - Time is nothing but leases and pauses that run or are over. That they may end at any moment, and
//!   apart from each other, stands for clocks that are set and machines that are started anew.
//! - A transaction is one action, and a crash falls between actions: SQLite's promise.
//! - What a message says, and whether it can be opened; what the policy holds, it holds at random.
//! - A handler is its outcome. What it did before a crash, it may do again: handlers are told so.
//! - Marks of handled messages stay. They do, until nothing with that mark can be opened any more.
//! - The relay delivers in order for the first time, and any delivery again at any time.

// Tests may panic.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod flaw;
mod inbox;
mod machine;
mod properties;

use stateright::{Checker, HasDiscoveries, Model};

use crate::{
    flaw::Flaw,
    inbox::Delivery,
    machine::Machine,
    properties::{ENDS, IN_TURN, LIMITED, NOT_AGAIN, NOT_LOST, ONE_RUN},
};

const IN_ORDER: bool = true;
const IN_ANY_ORDER: bool = false;

/// A message of the only sender.
const fn delivery(message: usize) -> Delivery {
    Delivery { message, sender: 0 }
}

fn machine(messages: &[usize], workers: &[bool], decisions: u8) -> Machine {
    Machine {
        deliveries: messages.iter().copied().map(delivery).collect(),
        workers: workers.to_vec(),
        begins_empty: false,
        decisions,
        flaw: None,
    }
}

/// One message that comes from the relay.
fn arriving() -> Machine {
    Machine {
        begins_empty: true,
        ..machine(&[0], &[IN_ORDER; 2], 2)
    }
}

/// Checks every reachable state.
fn holds(machine: Machine) {
    let checker = machine.checker().spawn_bfs().join();
    println!("{} states", checker.unique_state_count());
    checker.assert_properties();
}

/// Whether the checker finds a way in which a flaw breaks a property.
fn breaks(flaw: Flaw, machine: Machine, property: &'static str) -> bool {
    let flawed = Machine {
        flaw: Some(flaw),
        ..machine
    };
    let checker = flawed.checker();
    let checker = checker
        .finish_when(HasDiscoveries::AllOf([property].into()))
        .spawn_bfs()
        .join();
    checker.discovery(property).is_some()
}

#[test]
fn one_message_is_handled_whatever_happens() {
    holds(arriving());
}

#[test]
fn copies_of_a_message_are_handled_as_one() {
    holds(machine(&[0, 0], &[IN_ORDER; 2], 1));
}

#[test]
fn messages_of_a_sender_are_handled_in_order() {
    holds(machine(&[0, 1], &[IN_ORDER; 2], 1));
}

#[test]
fn copies_do_not_hold_back_the_next_message() {
    holds(machine(&[0, 0, 1], &[IN_ORDER; 2], 0));
}

#[test]
fn workers_that_keep_no_order_block_none_that_do() {
    holds(machine(&[0, 1], &[IN_ORDER, IN_ANY_ORDER], 0));
}

/// Without this a property that always holds would prove nothing.
#[test]
fn every_rule_is_needed() {
    let one = machine(&[0], &[IN_ORDER; 2], 2);
    let copies = machine(&[0, 0], &[IN_ORDER; 2], 1);
    let two = machine(&[0, 1], &[IN_ORDER; 2], 0);
    let mixed = machine(&[0, 1], &[IN_ORDER, IN_ANY_ORDER], 0);
    for (flaw, machine, property) in [
        (Flaw::AcknowledgedBeforeStored, &arriving(), NOT_LOST),
        (Flaw::ClaimIgnoresLeases, &one, ONE_RUN),
        (Flaw::ClaimIgnoresCopies, &copies, ONE_RUN),
        (Flaw::ClaimIgnoresSeen, &copies, NOT_AGAIN),
        (Flaw::ClaimIgnoresSenders, &two, IN_TURN),
        (Flaw::LaterRowsHoldBack, &mixed, ENDS),
        (Flaw::CrashesAreNotCounted, &one, ENDS),
        (Flaw::CrashesAreNotCounted, &one, LIMITED),
        (Flaw::SettlesWithoutFence, &one, ONE_RUN),
        (Flaw::FenceStartsAgain, &one, ONE_RUN),
        (Flaw::CommitForgets, &copies, NOT_AGAIN),
        (Flaw::DropForgets, &one, NOT_AGAIN),
        (Flaw::AcceptKeepsAttempts, &copies, ENDS),
    ] {
        assert!(breaks(flaw, machine.clone(), property), "{flaw:?}");
    }
}
