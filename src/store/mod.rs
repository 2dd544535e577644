//! What must survive a restart.

pub mod record;
