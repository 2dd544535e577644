//! The binary: the command line decides, and what it returns is the exit code.

use std::process::ExitCode;

/// Workers free what other connections of theirs allocated, all the time and in small pieces.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    use_small_pages();
    andon::cli::run(std::env::args_os())
}

/// With huge pages all of any 2 MiB is resident of which a page is used: of what a rush of connections left behind, mostly free,
/// everything again some seconds later. Our allocator does not ask for them (its feature `no_thp`); this is for kernels that
/// make them unasked. Where one cannot leave them out, more is resident.
fn use_small_pages() {
    let _ = rustix::thread::disable_transparent_huge_pages(true);
}
