//! The conformance checklist of the ClawTalk HTTP API: one test per item.

mod agents;
mod audit;
mod auth;
mod invites;
mod pages;
mod reading;
mod sending;
mod transport;
mod webhooks;
