//! Speaking with others: webhooks and chats hear of decisions, and whoever knows a number that matters is asked for it
//! ([`Inquirer`]).
//!
//! A thread of its own tells ([`Messenger`]), so that a receiver that is dead, slow or lying holds up neither a tick
//! of the immune system nor another receiver. The controller hands a decision over and goes on; what cannot be handed
//! over is dropped and counted. Nothing that a receiver answers changes what is decided.
//!
//! Undelivered notices do not outlive the process: the record holds every decision, and a notice of what happened
//! before a restart would come beside the news of what is true now.

mod client;
mod inquiry;
mod letter;
mod mailbox;
mod messenger;
mod reading;
mod signature;

pub use inquiry::{Asked, Inquirer, Question, Report};
pub use letter::sentence;
pub use messenger::{Messenger, Plan, Told, Untestable};
