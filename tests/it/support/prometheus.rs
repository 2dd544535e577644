//! A real Prometheus. Killed on drop.

use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use super::{port, wait};

pub(crate) struct Prometheus {
    pub(crate) address: SocketAddr,
    child: Child,
    _dir: TempDir,
}

impl Prometheus {
    /// Asks `target` for its metrics every second.
    pub(crate) fn scraping(target: SocketAddr) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let config = dir.path().join("prometheus.yml");
        let scrape = "global: {scrape_interval: 1s}\nscrape_configs: [{job_name: it, static_configs: [{targets: [\"TARGET\"]}]}]\n";
        std::fs::write(&config, scrape.replace("TARGET", &target.to_string()))
            .expect("the directory is ours");
        let address = port::free();
        let child = Command::new("prometheus")
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", dir.path().join("data").display()))
            .arg(format!("--web.listen-address={address}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("prometheus is there: Debian's package prometheus has it");
        let prometheus = Self { address, child, _dir: dir };
        wait::until("prometheus listens", || TcpStream::connect(address).ok());
        prometheus
    }

    pub(crate) fn kill(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        self.kill();
    }
}
