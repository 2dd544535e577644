//! Everything that is tested from outside a module, in one binary: one link, one place to look.

mod tidy;
