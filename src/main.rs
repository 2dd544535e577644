//! The binary: the command line decides, and what it returns is the exit code.

use std::process::ExitCode;

/// Workers free what other connections of theirs allocated, all the time and in small pieces.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    use_small_pages();
    andon::cli::run(std::env::args_os())
}

/// The allocator asks for huge pages, and the kernel then makes one of any 2 MiB that have a used page among them: of what a
/// rush of connections left behind, mostly free, all would be resident again some seconds later. Where a kernel cannot
/// leave them out, more is resident.
fn use_small_pages() {
    let _ = rustix::thread::disable_transparent_huge_pages(true);
}
