//! The immune system: is the canary worse than stable, how sure is that, and why.
//!
//! Pure: no clock, no input or output, no random source. Counts and `now` go in, a [`Verdict`] comes out, so a
//! simulation can play years of it. Start reading at [`guard`]; [`evidence`] is the heart.
//!
//! | file | what |
//! |---|---|
//! | [`guard`] | the guard of one canary: what is fed when, and which verdict holds |
//! | [`evidence`] | the bet: odds against chance that the canary is worse, or that it is not |
//! | [`latency`] | slowness as bad luck: the marks beyond which a request is slow |
//! | `odds` | how the bets of a guard add up to one number |
//! | `remembered` | what is learned of stable, and never forgotten at once |
//! | [`pace`] | when a tick is over |
//! | [`forecast`] | how long a guard would take to see a given harm, by playing it; `chance` is its dice |
//! | [`ratio`] | whether the split is what the weights say, and whether what was split is seen |
//! | [`journal`] | what a guard was given, so that it can be judged again |
//! | [`fast_trip`], [`ceiling`] | the operator's own rules, without statistics |
//! | [`outside`] | a plain rule about numbers that others know |
//! | [`interval`] | how well a rate is known, for proofs of health and for reports |
//! | [`numbers()`] | what a canary is judged by, in the words of the file |
//! | [`verdict`] | what is said, in numbers; sentences and JSON on demand |
//! | [`window`] | what was counted |
//!
//! # Why a coin
//!
//! A threshold on the canary's failure rate needs a guess of what is normal, and is wrong whenever the database
//! coughs. A comparison of two measured averages is better, but looking at it every second finds "significance" by
//! chance alone, many times a day. Yet this proxy knows something that no observer of metrics knows: it drew the lot
//! that sent each request to canary or stable. If the canary is no worse, the variant on which an unlucky request
//! landed is a coin whose bias is the canary's share of the traffic in that very tick. So we bet against the coin.
//! Whatever the rate does that both share, betting on a fair coin wins nothing on average; capital of 1000 to 1 is
//! reached by chance once in a thousand releases at most, no matter how often one looks. No baseline has to be
//! known, nothing is averaged over time, and a ramp of weights cannot mislead, since every tick is compared within
//! itself.
//!
//! # Why restart
//!
//! A bet that was played for six good hours has lost its capital and would need as long to win it back. So a
//! little is put down afresh each tick, as much as sums to one half over a day. A canary that turns bad late is
//! found nearly as fast as one that was bad from the start. The price is stated, not hidden: the promise on false
//! alarms is for a day, and half as much is added for each further day.
//!
//! # Why clip
//!
//! Failures come in clumps: one garbage collection, one dropped connection with ten requests on it. Clumps that
//! hit both variants are harmless (they are drawn by lot too), but one that hits a single variant looks like ten
//! coins where nature tossed one, and without protection every sequential test aborts good canaries daily. So one
//! tick may show no more than expectation, two sigma and a small allowance. The allowance doubles while ticks
//! exceed it: a blip counts about once, a lasting fault is believed after two to four ticks. That delay is bought
//! on purpose; total failure, where it would hurt, is caught by [`fast_trip`].
//!
//! # Why a burst factor
//!
//! Where clumps are dense, one a tick or more, clipping alone is not enough. How much burstier than chance failures
//! are can be learned where nobody is under suspicion: on stable, from tick to tick. Evidence is divided by that
//! factor. It is 1 for independent requests, so nothing is lost there, and it is learned from past ticks only, so the
//! promise holds with it.
//!
//! # Why latency is the same bet
//!
//! Quantiles that are measured and compared need a variance, a window and a hope about the distribution. Here a request
//! is slow or it is not: slower than a mark that is made of stable's past, for the canary moved by what is tolerated. Then
//! it is an unlucky request like any other, and everything said above holds for it. Four marks, at p50 to p99.9, see a
//! canary that is slower altogether as well as one with a longer tail.
//!
//! # Why health is proved in the other direction
//!
//! That nothing bad was found proves nothing: perhaps nobody came. So `Healthy` is evidence of its own, by the same coin:
//! bets that the canary has *fewer* failures, and fewer slow requests, than a proof allows. They are not put down
//! afresh, and what they can win is bounded, so that a proof made yesterday falls within seconds today.
//!
//! # What is refused
//!
//! - **To judge without data.** No canary requests, no verdict; no stable requests, no evidence. Nothing seen is
//!   `Undecided`, which neither promotes nor aborts.
//! - **To blame the canary for what stable suffers too.** Every rule asks for stable in the same time; a ceiling
//!   alone is not enough.
//! - **To forget by itself.** `Unhealthy` stays until somebody restarts the guard: a fault that pauses has not
//!   been repaired.
//! - **To act.** Weights, cords and records are the controller's.
//! - **To trust chosen traffic.** Only requests assigned by lot are counted, and only first attempts.
//! - **To keep its reasons to itself.** What a guard was given is written down, so that each of its verdicts can be
//!   worked out again to the last bit.

pub mod ceiling;
mod chance;
pub mod evidence;
pub mod fast_trip;
pub mod forecast;
pub mod guard;
pub mod interval;
pub mod journal;
pub mod latency;
mod numbers;
mod odds;
pub mod outside;
pub mod pace;
pub mod ratio;
mod remembered;
pub mod verdict;
pub mod window;
mod wording;

#[cfg(test)]
mod vectors;

pub use guard::Guard;
pub use numbers::numbers;
pub use outside::{OutsideFinding, OutsideRule, OutsideSignal, OutsideState, Reading};
pub use pace::Pace;
pub use verdict::{Finding, Missing, Signal, Standing, Verdict};
pub use window::{Counts, Detail, Tally, Window};
