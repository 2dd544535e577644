//! Owns what is in force, and looks once a second whether files have changed.
//!
//! The controller is its one owner. A look runs beside the loop, since a disk may hang; while one is under way no
//! other is begun. Workers get what is new by a channel and use it from the next handshake on; connections live on.

use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::{Loaded, Material};

#[derive(Debug)]
pub struct Keeper {
    loaded: Arc<Loaded>,
    shown: watch::Sender<Arc<Material>>,
    look: Option<Look>,
}

#[derive(Debug)]
struct Look {
    /// What it set out from.
    from: Arc<Loaded>,
    found: JoinHandle<Option<Loaded>>,
}

impl Keeper {
    /// And what workers follow.
    pub fn new(loaded: Loaded) -> (Self, watch::Receiver<Arc<Material>>) {
        let (shown, seen) = watch::channel(Arc::new(loaded.material()));
        (Self { loaded: Arc::new(loaded), shown, look: None }, seen)
    }

    pub fn loaded(&self) -> &Arc<Loaded> {
        &self.loaded
    }

    /// Puts another configuration's certificates in force.
    pub fn replace(&mut self, loaded: Loaded) {
        let loaded = loaded.for_listeners_of(&self.loaded);
        // The routing table of before is in force for a moment longer.
        let material = loaded.material().and_clients_of(&self.shown.borrow());
        self.put(loaded, material);
    }

    /// Begins a look, unless there is nothing to look at or one is under way.
    pub fn look(&mut self) {
        if self.look.is_some() || self.loaded.is_still() {
            return;
        }
        let from = Arc::clone(&self.loaded);
        let loaded = Arc::clone(&from);
        let found = tokio::task::spawn_blocking(move || loaded.refreshed());
        self.look = Some(Look { from, found });
    }

    /// Waits for the look that is under way, for ever if there is none, and puts in force what it found. May be
    /// dropped and called again.
    pub async fn looked(&mut self) {
        let Some(look) = &mut self.look else { return std::future::pending().await };
        let found = (&mut look.found).await;
        // A panic found nothing. A look from before a reload has nothing to say about what came after.
        let found = found.ok().flatten().filter(|_| Arc::ptr_eq(&look.from, &self.loaded));
        self.look = None;
        if let Some(loaded) = found {
            let material = loaded.material();
            self.put(loaded, material);
        }
    }

    fn put(&mut self, loaded: Loaded, material: Material) {
        self.shown.send_replace(Arc::new(material));
        self.loaded = Arc::new(loaded);
    }
}
