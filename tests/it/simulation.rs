//! The guard played with seeded chance and a virtual clock: what is promised of false alarms, of delay and of proofs
//! of health, in worlds that are kind and in worlds that are not. `benches/verdict.rs` plays the same with many more
//! seeds.

mod delays;
mod false_alarms;
mod health;
mod model;
mod sticky;
