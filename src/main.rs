//! The binary: the command line decides, and what it returns is the exit code.

use std::process::ExitCode;

/// Workers free what other connections of theirs allocated, all the time and in small pieces.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    andon::cli::run(std::env::args_os())
}
