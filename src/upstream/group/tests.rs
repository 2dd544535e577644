//! Which endpoints routing is told of, and with which part.

use std::time::Duration;

use super::*;
use crate::config::{Health, Probe, Weight};

const SECOND: u64 = 1_000_000;

fn upstream(upkeep: Upkeep) -> Upstream {
    Upstream { upkeep, ..Upstream::new("shop".into(), Vec::new()) }
}

fn checked(panic: &str) -> Upkeep {
    let (second, panic) = (Duration::from_secs(1), Weight::parse(panic).unwrap());
    let health = Health {
        probe: Probe::Tcp,
        interval: second,
        timeout: second,
        healthy_after: 1,
        unhealthy_after: 1,
        panic,
    };
    Upkeep { health: Some(health), ..Upkeep::default() }
}

fn endpoint(n: u32) -> Endpoint {
    Endpoint { id: EndpointId(n), address: address(n), tls: None }
}

fn address(n: u32) -> SocketAddr {
    (std::net::Ipv4Addr::from(0x0A00_0000 + n), 80).into()
}

fn nothing(_: EndpointId) -> EndpointTotals {
    EndpointTotals::default()
}

fn failing(bad: &'static [u32]) -> impl Fn(EndpointId) -> EndpointTotals {
    move |id| {
        let failed = if bad.contains(&id.0) { 9 } else { 0 };
        EndpointTotals { good: 0, failed, row_max: failed }
    }
}

fn group(upkeep: Upkeep, count: u32) -> Group {
    let mut group = Group::new(&upstream(upkeep));
    group.set_members((0..count).map(endpoint).collect(), true, 0, nothing);
    group
}

/// Sorted ids of what routing is told; `None`: nothing new.
fn told(group: &mut Group, now_us: u64) -> Option<Vec<u32>> {
    let usable = group.news(now_us)?;
    let mut ids: Vec<u32> = usable.endpoints().iter().map(|endpoint| endpoint.id.0).collect();
    ids.sort_unstable();
    Some(ids)
}

#[test]
fn checks_take_an_endpoint_out_and_in_and_nothing_is_said_twice() {
    let mut group = group(checked("0%"), 3);
    assert_eq!(told(&mut group, 0), Some(vec![0, 1, 2]), "unchecked is well");
    assert_eq!(told(&mut group, 1), None);
    assert!(group.checked(address(1), true), "the first word is news");
    assert_eq!(told(&mut group, 2), None, "but changes nothing");
    assert!(group.checked(address(1), false) && !group.checked(address(1), false));
    assert_eq!(told(&mut group, 3), Some(vec![0, 2]));
    assert!(group.checked(address(1), true));
    assert_eq!(told(&mut group, 4), Some(vec![0, 1, 2]));
    assert!(!group.checked(address(9), false), "nobody has this address");
}

#[test]
fn when_all_fail_their_checks_there_is_none_unless_that_is_called_a_panic() {
    let mut strict = group(checked("0%"), 2);
    let mut panicky = group(checked("51%"), 4);
    for n in 0..2 {
        strict.checked(address(n), false);
        panicky.checked(address(n), false);
    }
    assert_eq!(told(&mut strict, 0), Some(vec![]));
    assert_eq!(told(&mut panicky, 0), Some(vec![0, 1, 2, 3]));
    panicky.checked(address(0), true);
    assert_eq!(told(&mut panicky, 1), Some(vec![0, 2, 3]));
}

#[test]
fn ejected_endpoints_are_used_when_checks_leave_nobody_else() {
    let mut group = group(checked("0%"), 2);
    told(&mut group, 0);
    let changes = group.look(1, failing(&[1]));
    assert_eq!((changes.len(), changes[0].address, group.ejections), (1, address(1), 1));
    assert_eq!(told(&mut group, 1), Some(vec![0]));
    group.checked(address(0), false);
    assert_eq!(told(&mut group, 2), Some(vec![1]));
    group.checked(address(1), false);
    assert_eq!(told(&mut group, 3), Some(vec![]));
}

#[test]
fn without_ejection_nobody_is_ejected() {
    let mut group = group(Upkeep { ejection: None, ..Upkeep::default() }, 3);
    assert!(group.look(1, failing(&[1])).is_empty());
    assert!(!group.is_watched());
}

#[test]
fn who_comes_back_starts_slowly_and_who_was_there_first_does_not() {
    let slow_start = Duration::from_secs(16);
    let mut group = group(Upkeep { slow_start, ..checked("0%") }, 3);
    assert_eq!(*group.news(0).unwrap(), Usable::all(&[0, 1, 2].map(endpoint), group.upkeep.balance));
    group.checked(address(1), false);
    group.news(SECOND);
    group.checked(address(1), true);
    let start = 100 * SECOND;
    let with_part = |part| {
        let list = [(0, WHOLE_PART), (1, part), (2, WHOLE_PART)].map(|(n, part)| (endpoint(n), part));
        Usable::new(list.into(), 3, Upkeep::default().balance)
    };
    for (after, part) in [(0, 1), (2, 2), (8, 8), (15, 15), (16, 16)] {
        let usable = group.news(start + after * SECOND).expect("another part");
        assert_eq!(*usable, with_part(part), "after {after} s");
    }
    assert_eq!(group.news(start + 100 * SECOND), None);
}

#[test]
fn names_bring_endpoints_and_take_them_away() {
    let names = vec![crate::config::DnsName { host: "shop".into(), port: 80 }];
    let mut group = Group::new(&upstream(Upkeep { names, ..Upkeep::default() }));
    assert_eq!(*group.news(0).unwrap(), Usable::pending());
    group.set_members(vec![endpoint(1), endpoint(2), endpoint(3)], true, 0, nothing);
    assert_eq!(told(&mut group, 1), Some(vec![1, 2, 3]));
    group.look(2, failing(&[2]));
    assert_eq!(told(&mut group, 2), Some(vec![1, 3]));
    group.set_members(vec![endpoint(2), endpoint(3), endpoint(4)], true, 3, nothing);
    assert_eq!(told(&mut group, 3), Some(vec![3, 4]), "what is known of those that stay is kept");
    group.set_members(Vec::new(), true, 4, nothing);
    assert_eq!(*group.news(4).unwrap(), Usable::default(), "no longer pending");
}

#[test]
fn another_probe_makes_what_the_old_one_said_void() {
    let mut group = group(checked("0%"), 2);
    group.checked(address(0), false);
    assert_eq!(told(&mut group, 0), Some(vec![1]));
    let mut file = upstream(checked("0%"));
    group.reconfigure(&file);
    assert_eq!(told(&mut group, 1), Some(vec![1]), "said again, for its new place");
    file.upkeep.health = None;
    group.reconfigure(&file);
    assert_eq!(told(&mut group, 2), Some(vec![0, 1]));
}
