//! The online half, through the functions that C calls.

mod agents;
mod contacts;
mod opening;
mod receiving;
mod sending;
mod sharing;
