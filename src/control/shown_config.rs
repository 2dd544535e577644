//! The configuration that was loaded last, to be shown.

use std::path::PathBuf;

use super::command::Reply;
use super::controller::Controller;
use super::jobs::answer;
use crate::config::Source;

#[derive(Clone, Debug)]
pub struct ConfigView {
    /// `None`: it came from no file.
    pub path: Option<PathBuf>,
    pub source: Source,
    /// Of the snapshot in force.
    pub generation: u64,
    pub loaded_at_ms: i64,
    /// False: the file was read again since, and refused.
    pub reload_works: bool,
}

impl Controller {
    pub(super) fn show_config(&self, reply: Reply<ConfigView>) {
        let view = ConfigView {
            path: self.config_path.clone(),
            source: self.config.source.clone(),
            generation: self.publisher.generation(),
            loaded_at_ms: self.loaded_at_ms,
            reload_works: self.reload_works,
        };
        answer(reply, Ok(view));
    }
}
