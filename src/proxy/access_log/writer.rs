//! The thread that writes the access log.
//!
//! It looks into the queue instead of being woken by it: a wake costs the worker a lock and a system call. Lines go
//! out as soon as the queue is empty or [`WRITE_BYTES`] are together. A target that takes nothing (a full disk, a
//! pipe that nobody reads) is tried again; meanwhile up to [`BUFFER_BYTES_MAX`] wait here, and what comes beyond is
//! dropped and counted.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, TryRecvError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::fs::OFlags;
use rustix::io::Errno;

use super::Line;
use super::format::{self, Dates};
use crate::config::{self, LogFormat, LogTarget};
use crate::metrics::totals::LogCounters;
use crate::proxy::{clock, ending};

const WRITE_BYTES: usize = 64 * 1024;
/// Of text that could not be written yet. Beyond, lines are dropped.
const BUFFER_BYTES_MAX: usize = 256 * 1024;
/// How often to look while there is nothing to do.
const PAUSE: Duration = Duration::from_millis(25);
/// After a failed write, or while there is nobody behind a named pipe.
const RETRY: Duration = Duration::from_secs(1);
/// Between two complaints.
const COMPLAIN: Duration = Duration::from_secs(60);
/// At the end, a target that takes nothing is given this long.
const LAST: Duration = Duration::from_secs(2);

/// The thread, as others see it.
pub struct Writer {
    reopen: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Writer {
    pub(super) fn start(
        config: &config::AccessLog,
        lines: Receiver<Box<Line>>,
        counters: Arc<LogCounters>,
    ) -> io::Result<Self> {
        let reopen = Arc::new(AtomicBool::new(false));
        let pen = Pen {
            sink: Sink::open(&config.target)?,
            target: config.target.clone(),
            format: config.format,
            dates: Dates::default(),
            buffer: Vec::with_capacity(WRITE_BYTES),
            written: 0,
            lines: 0,
            counters,
            retry_at: None,
            complain_at: None,
        };
        let asked = Arc::clone(&reopen);
        let name = thread::Builder::new().name("access-log".into());
        let thread = name.spawn(move || pen.run(&lines, &asked))?;
        Ok(Self { reopen, thread })
    }

    /// The file was renamed: the lines to come go to a new one.
    pub fn reopen(&self) {
        self.reopen.store(true, Ordering::Release);
    }

    /// To be called once the workers are gone: everything in the queue is written.
    pub fn finish(self) {
        ending::wait_for(self.thread, "the access log");
    }
}

/// Where lines go. `None`: a named pipe that nobody reads yet.
struct Sink(Option<File>);

impl Sink {
    fn open(target: &LogTarget) -> io::Result<Self> {
        let opened = match target {
            // Not by its buffer, which keeps half lines to itself.
            LogTarget::Stdout => io::stdout().as_fd().try_clone_to_owned().map(File::from),
            LogTarget::File(path) => open(path),
        };
        match opened {
            Ok(file) => Ok(Self(Some(file))),
            Err(error) if Errno::from_io_error(&error) == Some(Errno::NXIO) => Ok(Self(None)),
            Err(error) => Err(error),
        }
    }
}

/// Never waits for the reader of a pipe.
fn open(path: &PathBuf) -> io::Result<File> {
    let flags = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or(0);
    OpenOptions::new().append(true).create(true).mode(0o640).custom_flags(flags).open(path)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Queue {
    /// There may be more.
    Waiting,
    Empty,
    /// The workers are gone.
    Ended,
}

struct Pen {
    sink: Sink,
    target: LogTarget,
    format: LogFormat,
    dates: Dates,
    buffer: Vec<u8>,
    /// How much of the buffer is out.
    written: usize,
    /// Lines in the buffer.
    lines: u64,
    counters: Arc<LogCounters>,
    /// The target failed. It is left alone until then.
    retry_at: Option<Instant>,
    complain_at: Option<Instant>,
}

impl Pen {
    fn run(mut self, lines: &Receiver<Box<Line>>, reopen: &AtomicBool) {
        loop {
            let queue = self.gather(lines);
            self.write();
            if reopen.swap(false, Ordering::AcqRel) {
                self.reopen();
            }
            match queue {
                Queue::Ended => return self.end(),
                Queue::Waiting if self.buffer.is_empty() => {}
                Queue::Waiting | Queue::Empty => thread::sleep(PAUSE),
            }
        }
    }

    fn gather(&mut self, lines: &Receiver<Box<Line>>) -> Queue {
        while self.buffer.len() < WRITE_BYTES || !self.can_write() {
            match lines.try_recv() {
                Ok(line) => self.take(&line),
                Err(TryRecvError::Empty) => return Queue::Empty,
                Err(TryRecvError::Disconnected) => return Queue::Ended,
            }
        }
        Queue::Waiting
    }

    fn take(&mut self, line: &Line) {
        if self.buffer.len() >= BUFFER_BYTES_MAX {
            self.counters.dropped.add(1);
            return;
        }
        format::line(self.format, line, &mut self.dates, &mut self.buffer);
        self.lines += 1;
    }

    fn can_write(&self) -> bool {
        self.retry_at.is_none_or(|at| clock::now() >= at)
    }

    /// As much as the target takes.
    fn write(&mut self) {
        if self.buffer.is_empty() || !self.can_write() {
            return;
        }
        if let Err(error) = self.try_write() {
            let busy = error.kind() == io::ErrorKind::WouldBlock;
            self.retry_at = Some(clock::now() + if busy { PAUSE } else { RETRY });
            if !busy || self.buffer.len() >= BUFFER_BYTES_MAX {
                self.complain(&error);
            }
            return;
        }
        self.retry_at = None;
        if self.written == self.buffer.len() {
            self.counters.written.add(self.lines);
            (self.lines, self.written) = (0, 0);
            self.buffer.clear();
            self.buffer.shrink_to(WRITE_BYTES * 2);
        }
    }

    fn try_write(&mut self) -> io::Result<()> {
        if self.sink.0.is_none() {
            self.sink = Sink::open(&self.target)?;
        }
        let Some(file) = &mut self.sink.0 else { return Err(Errno::NXIO.into()) };
        while self.written < self.buffer.len() {
            match file.write(&self.buffer[self.written..]) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => self.written += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn complain(&mut self, error: &io::Error) {
        let now = clock::now();
        if self.complain_at.is_none_or(|at| now >= at) {
            self.complain_at = Some(now + COMPLAIN);
            tracing::warn!(%error, dropped = self.counters.dropped.get(), "the access log cannot be written");
        }
    }

    /// What is out stands in the old file; a line that is half out is written anew.
    fn reopen(&mut self) {
        match Sink::open(&self.target) {
            Ok(sink) => self.sink = sink,
            Err(error) => {
                tracing::error!(%error, "the access log cannot be opened again; going on with the old file");
                return;
            }
        }
        self.retry_at = None;
        let out = &self.buffer[..self.written];
        self.written = out.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        tracing::info!("access log opened again");
    }

    fn end(mut self) {
        let last = clock::now() + LAST;
        self.retry_at = None;
        self.write();
        while !self.buffer.is_empty() && clock::now() < last {
            thread::sleep(PAUSE);
            self.retry_at = None;
            self.write();
        }
        if !self.buffer.is_empty() {
            self.counters.dropped.add(self.lines);
            tracing::warn!(
                dropped = self.counters.dropped.get(),
                "the access log ends without its last lines"
            );
        }
    }
}
