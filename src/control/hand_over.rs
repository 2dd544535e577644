//! Handing the live state over to a new process, which finds it in the store.
//!
//! Three steps, each asked for by the wiring (`app::upgrade` says in which order, and why):
//!
//! 1. [`HandOver::Lend`]: when nothing is owed to the store, nothing is started there any more. Judging goes on, and
//!    what lowers takes effect as always when the store is down; what raises is refused.
//! 2. [`HandOver::Freeze`]: from here on nothing is decided or changed. Refused if anything changed since step 1: the
//!    new process does not know of it, and would give a canary back what it has just lost. What is known of endpoints
//!    and of memory is each process's own, and is kept up to the end.
//! 3. [`HandOver::TakeBack`], if the new process failed: everything goes on, and every present record is stored again
//!    over whatever the new one may have stored.

use std::sync::Arc;

use tracing::info;

use super::command::{Command, Refusal, Reply};
use super::controller::Controller;
use super::jobs::{Ask, answer};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HandOver {
    Lend,
    Freeze,
    TakeBack,
}

impl Controller {
    pub(super) fn hand_over(&mut self, step: HandOver, reply: Reply<()>) {
        match step {
            HandOver::Lend => self.enqueue(Ask::LendStore(reply)),
            HandOver::Freeze => answer(reply, self.freeze()),
            HandOver::TakeBack => {
                self.take_back();
                answer(reply, Ok(()));
            }
        }
    }

    /// Its turn has come, so nothing is owed unless the store is down.
    pub(super) fn lend_store(&mut self, reply: Reply<()>) {
        if reply.is_closed() {
            return info!("the store is not lent: nobody asks for it any more");
        }
        if let Some(why) = self.saving.down() {
            return answer(reply, Err(Refusal::StoreDown(why.to_owned())));
        }
        self.store_evidence_at_once();
        self.saving.lend();
        answer(reply, Ok(()));
    }

    fn freeze(&mut self) -> Result<(), Refusal> {
        if self.loading.is_some() || !self.saving.is_idle() {
            return Err(Refusal::StoreDown("something was decided while it was lent".to_owned()));
        }
        self.frozen = true;
        self.inquiry.pause();
        Ok(())
    }

    fn take_back(&mut self) {
        self.frozen = false;
        self.saving.take_back();
        let routes: Vec<Arc<str>> = self.routes.list.iter().map(|route| Arc::clone(&route.name)).collect();
        self.owe_present(&routes);
        self.owe_announced();
        info!("the store is ours again");
    }

    /// While frozen, whoever wants a change is told to come again.
    pub(super) fn let_through(&self, command: Command) -> Option<Command> {
        if !self.frozen {
            return Some(command);
        }
        let refusal = Refusal::StoreDown("a new process is taking over".to_owned());
        match command {
            Command::SetWeight(_, reply)
            | Command::ResetCord(_, reply)
            | Command::StartRelease(_, reply)
            | Command::SteerRelease(_, reply)
            | Command::RollBack(_, reply)
            | Command::Drill(_, reply)
            | Command::EndDrill(_, reply) => answer(reply, Err(refusal)),
            Command::PullCord(_, reply) => answer(reply, Err(refusal)),
            Command::Reload(reply) => answer(reply, Err(refusal)),
            Command::SetUpstream(_, reply) => answer(reply, Err(refusal)),
            other => return Some(other),
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config::{Health, Probe, Weight};
    use crate::control::controller::Event;
    use crate::control::rig::{Rig, answered, shop};
    use crate::control::testing::weight;
    use crate::upstream::News;

    #[tokio::test]
    async fn while_frozen_nothing_is_judged_and_endpoints_are_kept_up() {
        let mut config = shop("5%");
        let (well, ill) = (([127, 0, 0, 1], 9_001).into(), ([127, 0, 0, 1], 9_011).into());
        config.upstreams[0].endpoints = vec![well, ill];
        config.upstreams[0].upkeep.health = Some(Health {
            probe: Probe::Tcp,
            interval: Duration::from_secs(1),
            timeout: Duration::from_secs(1),
            healthy_after: 1,
            unhealthy_after: 1,
            panic: Weight::ZERO,
        });
        let mut rig = Rig::new(config).await;
        rig.all_is_well();
        assert_eq!(answered(&mut rig.ask(|reply| Command::HandOver(HandOver::Lend, reply))), Ok(()));
        assert_eq!(answered(&mut rig.ask(|reply| Command::HandOver(HandOver::Freeze, reply))), Ok(()));
        rig.canary_breaks();
        assert_eq!(rig.published(), weight("5%"));
        let before = rig.controller.publisher.generation();
        let upstream = Arc::clone(&rig.controller.upstreams.list[0].group.name);
        let news = News::Checked { upstream, address: ill, healthy: false };
        rig.controller.on(Event::News(news));
        rig.tick();
        let used: Vec<_> =
            rig.controller.upstreams.list[0].group.members().iter().map(|member| member.used).collect();
        assert_eq!(used, [true, false]);
        assert_eq!(rig.controller.publisher.generation(), before + 1);
    }
}
