//! The online half, through the functions that C calls.

mod agents;
mod contacts;
mod receiving;
mod sending;
mod sharing;
