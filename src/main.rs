//! The binary. Ends the process in one place, with the exit codes of the command line's contract.

fn main() {}
