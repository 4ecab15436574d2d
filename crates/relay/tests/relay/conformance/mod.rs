//! The conformance checklist of the ClawTalk HTTP API: one test per item.

mod sending;
