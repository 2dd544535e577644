//! Each limit to its edge, and that what goes makes room again.

use std::sync::atomic::Ordering;

use super::*;
use crate::config;

const FILE: &str = r#"
[[listener]]
name = "a"
address = "127.0.0.1:1"
connections_max = 3
connections_per_address_max = 2
trusted_proxies = ["10.0.0.0/8"]

[[listener]]
name = "b"
address = "127.0.0.1:2"
"#;

fn admission(connections_max: usize) -> Arc<Admission> {
    let config = config::parse("f", FILE, std::path::Path::new("")).unwrap();
    let load = Arc::new(Load::new(config.listeners.iter().map(|listener| Arc::clone(&listener.name))));
    Arc::new(Admission::new(connections_max, &config.listeners, load))
}

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// Of listener `a`, in the order of [`TurnedAway::ALL`].
fn turned_away(admission: &Admission) -> [u64; 4] {
    admission.load.gauges().turned_away[0].1
}

fn open(admission: &Admission) -> (usize, Vec<usize>) {
    let doors = admission.load.doors().iter();
    let doors = doors.map(|door| door.connections.load(Ordering::Relaxed)).collect();
    (admission.load.connections.load(Ordering::Relaxed), doors)
}

#[test]
fn a_listener_lets_in_up_to_its_limit_and_again_when_one_goes() {
    let admission = admission(100);
    let admit = |last: u8| admission.admit("a", IpAddr::from([192, 0, 2, last]));
    let mut inside: Vec<_> = (0..3).map(|last| admit(last).unwrap()).collect();
    assert!(admit(9).is_none());
    assert!(admission.admit("b", address("192.0.2.9")).is_some(), "the other has room");
    assert_eq!(turned_away(&admission), [0, 1, 0, 0]);
    inside.pop();
    assert!(admit(9).is_some());
    drop(inside);
    assert_eq!(open(&admission), (0, vec![0, 0]));
}

#[test]
fn the_process_lets_in_up_to_its_limit_over_all_listeners() {
    let admission = admission(2);
    let _first = admission.admit("a", address("192.0.2.1")).unwrap();
    let _second = admission.admit("b", address("192.0.2.2")).unwrap();
    assert!(admission.admit("a", address("192.0.2.3")).is_none());
    assert_eq!(turned_away(&admission), [1, 0, 0, 0]);
    assert_eq!(open(&admission), (2, vec![1, 1]));
}

#[test]
fn one_address_lets_in_up_to_its_limit_and_leaves_room_for_others() {
    let admission = admission(100);
    let admit = |text| admission.admit("a", address(text));
    let first = admit("192.0.2.1").unwrap();
    let _second = admit("::ffff:192.0.2.1").expect("the same address, and the second");
    assert!(admit("192.0.2.1").is_none());
    assert_eq!(turned_away(&admission), [0, 0, 1, 0]);
    assert_eq!(open(&admission), (2, vec![2, 0]), "a refused one is counted nowhere");
    assert!(admit("192.0.2.2").is_some());
    drop(first);
    assert!(admit("192.0.2.1").is_some());
}

#[test]
fn the_addresses_of_one_ipv6_subscriber_are_one() {
    let addresses = Addresses::new(2);
    assert!(addresses.enter(address("2001:db8:1:1::1")).is_some());
    assert!(addresses.enter(address("2001:db8:1:1::2")).is_some());
    assert!(addresses.enter(address("2001:db8:1:1:ffff::3")).is_none());
    assert!(addresses.enter(address("2001:db8:1:2::1")).is_some());
}

#[test]
fn a_trusted_proxy_brings_as_many_as_the_listener_takes() {
    let admission = admission(100);
    let inside: Vec<_> = (0..4).map(|_| admission.admit("a", address("10.1.2.3"))).collect();
    assert_eq!(inside.iter().flatten().count(), 3);
    assert_eq!(turned_away(&admission), [0, 1, 0, 0]);
}

#[test]
fn while_memory_is_short_nobody_is_let_in() {
    let admission = admission(100);
    admission.load.set_pressure(Pressure::High);
    assert!(admission.admit("a", address("192.0.2.1")).is_none());
    assert_eq!(turned_away(&admission), [0, 0, 0, 1]);
    admission.load.set_pressure(Pressure::None);
    assert!(admission.admit("a", address("192.0.2.1")).is_some());
}

#[test]
fn fifty_thousand_addresses_do_not_make_each_other_look_like_many() {
    let addresses = Addresses::new(20);
    for number in 0..50_000_u32 {
        let peer = IpAddr::from(number.to_be_bytes());
        assert!(addresses.enter(peer).is_some(), "{peer}");
    }
    for row in &addresses.rows {
        assert_eq!(row.iter().map(|place| place.load(Ordering::Relaxed)).sum::<u32>(), 50_000);
    }
}
