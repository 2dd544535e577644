//! What a user meets, and what the house demands: one binary, so the library is linked once.

mod admin;
mod cli;
mod demo;
mod fake_admin;
mod tidy;
