//! What goes out, whatever the other side takes at a time, and how much waits for it.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http_body::{Body, Frame};

use super::super::super::splice::Pipe;
use super::super::head::Framing;
use super::super::outbox::{Outbox, Outlet, Source};

const HEAD: &[u8] = b"head\r\n\r\n";

/// Who keeps the other end sees how many are left.
#[derive(Clone, Default)]
struct Pieces(Rc<RefCell<VecDeque<Bytes>>>);

impl Body for Pieces {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        Poll::Ready(self.0.borrow_mut().pop_front().map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.borrow().is_empty()
    }
}

impl Source for Pieces {
    fn let_pass(&mut self) {}

    fn pipe(&mut self) -> Option<&mut Pipe> {
        None
    }
}

/// Takes so many bytes of a write, and so many writes before it takes none for a while.
#[derive(Default)]
struct Narrow {
    bytes_at_once: usize,
    writes_left: usize,
    taken: Vec<u8>,
    slices: Vec<usize>,
}

impl Narrow {
    fn of(bytes_at_once: usize) -> Self {
        Self { bytes_at_once, writes_left: usize::MAX, ..Self::default() }
    }
}

impl Outlet for Narrow {
    fn poll_write(&mut self, slices: &[IoSlice<'_>], _: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let Some(left) = self.writes_left.checked_sub(1) else { return Poll::Pending };
        self.writes_left = left;
        let before = self.taken.len();
        let bytes = slices.iter().flat_map(|slice| slice.iter());
        self.taken.extend(bytes.take(self.bytes_at_once));
        self.slices.push(slices.len());
        Poll::Ready(Ok(self.taken.len() - before))
    }

    fn poll_flush(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn is_plain(&self) -> bool {
        true
    }

    fn poll_drain(&mut self, _: &mut Pipe, _: usize, _: &mut Context<'_>) -> Poll<io::Result<usize>> {
        Poll::Pending
    }
}

/// Each of its own letter, and all of them in one.
fn pieces(sizes: &[usize]) -> (Vec<Bytes>, Vec<u8>) {
    let pieces: Vec<Bytes> = (b'a'..).zip(sizes).map(|(letter, size)| vec![letter; *size].into()).collect();
    let whole = pieces.concat();
    (pieces, whole)
}

fn begun(sizes: &[usize], sizing: Framing) -> (Outbox<Pieces>, Pieces) {
    let body = Pieces(Rc::new(RefCell::new(pieces(sizes).0.into())));
    let mut outbox = Outbox::default();
    outbox.begin(body.clone(), Some(sizing), None).extend_from_slice(HEAD);
    (outbox, body)
}

fn polled(outbox: &mut Outbox<Pieces>, outlet: &mut Narrow) -> Poll<io::Result<()>> {
    outbox.poll(outlet, &mut Context::from_waker(Waker::noop()))
}

fn chunked(sizes: &[usize]) -> Vec<u8> {
    let chunk = |piece: &Bytes| [format!("{:X}\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat();
    let pieces = pieces(sizes).0.into_iter().filter(|piece| !piece.is_empty());
    let mut bytes: Vec<u8> = pieces.flat_map(|piece| chunk(&piece)).collect();
    bytes.extend_from_slice(b"0\r\n\r\n");
    bytes
}

#[test]
fn pieces_of_all_sizes_go_out_in_order_however_little_is_taken() {
    for sizes in [&[31][..], &[1_024], &[1_025], &[5, 1_024, 0, 1_025, 70_000, 3], &[0, 7], &[2_000, 1]] {
        for bytes_at_once in [1, 7, 1_024, usize::MAX] {
            let length = Framing::Length(sizes.iter().sum::<usize>() as u64);
            for sizing in [length, Framing::Chunked, Framing::Connection] {
                let ((mut outbox, _), mut outlet) = (begun(sizes, sizing), Narrow::of(bytes_at_once));
                assert!(matches!(polled(&mut outbox, &mut outlet), Poll::Ready(Ok(()))));
                let body = if sizing == Framing::Chunked { chunked(sizes) } else { pieces(sizes).1 };
                let is_whole = outbox.is_through() && outlet.taken == [HEAD, &body].concat();
                assert!(is_whole, "{sizing:?} of {sizes:?}, {bytes_at_once} at once");
            }
        }
    }
}

#[test]
fn a_small_answer_is_one_write_of_one_buffer() {
    for sizing in [Framing::Length(31), Framing::Chunked, Framing::Connection] {
        let ((mut outbox, _), mut outlet) = (begun(&[31], sizing), Narrow::of(usize::MAX));
        assert!(polled(&mut outbox, &mut outlet).is_ready());
        assert_eq!(outlet.slices, [1], "{sizing:?}");
    }
}

#[test]
fn who_takes_nothing_lets_one_piece_wait_however_often_we_look() {
    for sizing in [Framing::Length(8 * 100), Framing::Chunked, Framing::Connection] {
        let ((mut outbox, body), mut outlet) = (begun(&[100; 8], sizing), Narrow::of(1));
        // One byte of the head, and again nothing.
        for writes in [0, 0, 1, 0, 0] {
            outlet.writes_left = writes;
            assert!(polled(&mut outbox, &mut outlet).is_pending());
        }
        assert_eq!((outlet.taken.len(), body.0.borrow().len()), (1, 7), "{sizing:?}");
    }
}
