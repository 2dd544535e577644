//! Releases: how a plan is followed, step by step. Pure: no clock, no I/O.
//!
//! A [`Release`] is one run of bringing a canary to users. It stands at a step of its plan, in one of six phases:
//!
//! ```text
//! Raising ─▶ Holding ─▶ Proving ─▶ Approving ─▶ the next step … ─▶ Ready ─▶ Promoting ─▶ promoted
//! ```
//!
//! What a step does not ask for is left out. Each look ([`Release::next`]) is told what is true now ([`Facts`]) and answers with
//! one [`Move`] at most, so a release can be stored before it goes on, and a process that comes back goes on where the record
//! says. Times are those of the calendar: a hold goes on while the process is down, and a clock that jumps can end the hold of
//! one step early, not that of the next.
//!
//! # What it refuses
//!
//! - It never raises while something speaks against it ([`Facts::blocked`]): a cut ceiling, odds that hold, a freeze, closed
//!   hours, too few endpoints. It says what it waits for. None of these lowers anything, and none of them makes the judge
//!   look away: judging is not its business, so no gate can make it deaf.
//! - While it is *held* it makes no move at all, and the time does not count for its holds.
//! - Proof and approval have a deadline (`within`), after which it holds, goes on or is aborted, as the step says.
//! - An ended release never moves again. A pulled cord ends it.

pub mod calendar;
mod progress;

pub use progress::{End, Ended, Facts, Held, Move, Phase, Release, Waiting};
