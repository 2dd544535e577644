//! Not written yet.
use std::process::ExitCode;
use std::time::Duration;
pub enum Picture {
    Live,
    Plain,
}
pub struct Options {
    pub length: Duration,
    pub picture: Picture,
}
pub fn run(_: Options) -> ExitCode {
    ExitCode::FAILURE
}
