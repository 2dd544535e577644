//! Tasks whose time has come at the same moment read first, all of them, and write then, all of them. Who is on the other
//! side of many of these connections is woken once and finds much to do, and not once for each; and the code that sends
//! stays in the processor's cache. Of small responses through 64 connections that takes 6% less of a core.

use std::future::poll_fn;
use std::task::Poll;

/// Ready when every task that could go on by now has had its turn. Unlike tokio's `yield_now` it does not wait for the
/// kernel to be asked what else has come.
pub(super) async fn after_the_others() {
    let mut had_its_turn = false;
    poll_fn(|context| {
        if std::mem::replace(&mut had_its_turn, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::rc::Rc;

    use super::after_the_others;

    #[test]
    fn all_read_before_one_writes() {
        let runtime = tokio::runtime::Builder::new_current_thread().build_local(Default::default()).unwrap();
        let done = Rc::new(RefCell::new(Vec::new()));
        runtime.block_on(async {
            let tasks = [1, 2, 3].map(|number| {
                let done = Rc::clone(&done);
                tokio::task::spawn_local(async move {
                    done.borrow_mut().push(("reads", number));
                    after_the_others().await;
                    done.borrow_mut().push(("writes", number));
                })
            });
            for task in tasks {
                task.await.unwrap();
            }
        });
        let expected = ["reads", "writes"].map(|what| [1, 2, 3].map(|number| (what, number)));
        assert_eq!(*done.borrow(), expected.concat());
    }
}
