//! What the thread does between two turns of its tasks.

use super::*;
use crate::config::{self, Weight};
use crate::store::record::Action;

fn plan() -> Arc<Plan> {
    let text = "[[listener]]\nname = \"l\"\naddress = \"127.0.0.1:1\"\n\
         [[notify]]\nname = \"ops\"\nform = \"chat\"\nurl = \"http://127.0.0.1:9/x\"\n";
    let receiver = config::parse("f", text, std::path::Path::new("")).unwrap().notify.remove(0);
    Arc::new(Plan { receivers: vec![(Arc::new(receiver), Arc::default())], base: None })
}

fn decision() -> Arc<Decision> {
    Arc::new(Decision {
        id: "0190-1".into(),
        at_ms: 1_700_000_000_123,
        route: "shop".into(),
        canary: None,
        action: Action::Weight,
        by: "ann".into(),
        why: "a test".into(),
        before: Weight::ZERO,
        after: Weight::ZERO,
        evidence: None,
    })
}

#[test]
fn a_notice_right_behind_a_reload_waits_for_whoever_was_gone_before_it() {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().build_local(Default::default()).unwrap();
    let (_tls, tls) = watch::channel(Arc::new(Material::default()));
    let mut desk = Desk::new(tls, || 0);
    runtime.block_on(async {
        desk.follow(plan());
        desk.receivers["ops"].mailbox.give_up();
        desk.hand_out(&decision());
        assert_eq!(desk.receivers["ops"].mailbox.len(), 0, "gone until the next reload");
        desk.follow(plan());
        desk.hand_out(&decision());
        assert_eq!(desk.receivers["ops"].mailbox.len(), 1);
    });
}
