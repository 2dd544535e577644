//! A crowd behind a sticky route: users of very unequal activity, each tied to a variant by a hash, each with luck of
//! its own.

use std::time::Duration;

use andon::config::Judge;
use andon::metrics::histogram::{Histogram, bucket_of};
use andon::metrics::users::{self, Users};

use super::chance::{Chance, position};
use super::play::{Both, Calls, Play, counts};
use super::table::bets;

/// What is counted as one toss of the coin. All are counted at once, over the same requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    /// Each request, as where each is assigned by lot.
    Request,
    /// Each request of a user until one fails; that failure counts, and nothing of this user after it.
    UntilFailure,
    /// As before, and while none fails one request every so often ([`Crowd::each_s`]).
    Paced,
    /// Failures as in `UntilFailure`; what they are compared with is all that counts there, split as the hash splits
    /// users.
    ByWeight,
    /// What the data plane does: `Paced`, but the pause of ten seconds is everybody's at once, and users are told apart by
    /// 17 bits. Played by its own code.
    Built,
}

pub(crate) const UNITS: [Unit; 5] =
    [Unit::Request, Unit::UntilFailure, Unit::Paced, Unit::ByWeight, Unit::Built];
/// In the order of [`UNITS`].
pub(crate) type Each<T> = [T; 5];

#[derive(Clone, Copy, Debug)]
pub(crate) struct Crowd {
    pub(crate) users: usize,
    pub(crate) per_s: f64,
    pub(crate) weight: f64,
    /// Activity is Pareto with this tail: 1.1 is a few that make most requests, 3 is nearly equal.
    pub(crate) tail: f64,
    /// A user comes back as somebody else after about so long.
    pub(crate) stays_s: f64,
    /// Of the users, these fail always, on either variant.
    pub(crate) poisoned: f64,
    /// Of requests of others.
    pub(crate) fails: f64,
    /// Of requests of others, on the canary.
    pub(crate) canary_fails: f64,
    /// One more user, which repeats the same request so often,
    pub(crate) loop_per_s: f64,
    /// and it fails, or never does.
    pub(crate) loop_fails: bool,
    /// Of a user that does not fail, [`Unit::Paced`] counts a request so often.
    pub(crate) each_s: f64,
    /// Log-sd of the latencies between users.
    pub(crate) levels: f64,
}

impl Default for Crowd {
    fn default() -> Self {
        Self {
            users: 2_000,
            per_s: 100.0,
            weight: 0.05,
            tail: 1.5,
            stays_s: 3_600.0,
            poisoned: 0.0,
            fails: 0.001,
            canary_fails: 0.001,
            loop_per_s: 0.0,
            loop_fails: true,
            each_s: 10.0,
            levels: 0.0,
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct User {
    canary: bool,
    known_as: users::User,
    fate: Fate,
    /// A request of it has failed.
    left: bool,
    /// From then on its next request counts for [`Unit::Paced`].
    due_s: f64,
    /// The same for its latency, of which one a minute counts.
    latency_due_s: f64,
    level: f64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Fate {
    Lucky,
    /// Always fails, on either variant.
    Poisoned,
    /// Never fails, on either variant.
    Spared,
}

/// The crowd of one run.
pub(crate) struct Sticky {
    crowd: Crowd,
    users: Vec<User>,
    /// Users by activity: a draw from it is a request.
    upto: Vec<f64>,
    guide: Vec<u32>,
    at_s: f64,
    /// Requests that `ByWeight` owes to the canary.
    owed: f64,
    set: Users,
}

impl Sticky {
    pub(crate) fn new(crowd: Crowd, chance: &mut Chance) -> Self {
        let users = (0..crowd.users).map(|_| User::new(crowd, chance)).collect();
        let mut sum = 0.0;
        let mut upto: Vec<f64> = (0..crowd.users)
            .map(|_| {
                sum += chance.unit().powf(-1.0 / crowd.tail);
                sum
            })
            .collect();
        upto.iter_mut().for_each(|edge| *edge /= sum);
        let mut guide = Vec::with_capacity(crowd.users);
        let mut user = 0;
        for step in 0..crowd.users {
            while upto[user as usize] <= step as f64 / crowd.users as f64 {
                user += 1;
            }
            guide.push(user);
        }
        let mut sticky = Self { crowd, users, upto, guide, at_s: 0.0, owed: 0.0, set: Users::default() };
        if crowd.loop_per_s > 0.0 {
            sticky.users.push(User {
                fate: if crowd.loop_fails { Fate::Poisoned } else { Fate::Spared },
                ..User::new(crowd, chance)
            });
        }
        sticky
    }

    pub(crate) fn second(
        &mut self,
        chance: &mut Chance,
        mut latencies: Option<&mut [[Histogram; 2]; 2]>,
    ) -> Each<Both> {
        self.at_s += 1.0;
        self.turn();
        for _ in 0..chance.poisson(self.crowd.users as f64 / self.crowd.stays_s) {
            let user = self.pick_evenly(chance);
            self.users[user] = User::new(self.crowd, chance);
        }
        let mut all = [Both::default(); 5];
        for _ in 0..chance.poisson(self.crowd.per_s) {
            let user = self.pick(chance);
            self.request(user, &mut all, chance);
            if let Some(histograms) = &mut latencies {
                self.answered(user, histograms, chance);
            }
        }
        for _ in 0..chance.poisson(self.crowd.loop_per_s) {
            self.request(self.crowd.users, &mut all, chance);
        }
        self.split_by_weight(&mut all);
        all
    }

    /// As the control thread does each tick.
    fn turn(&self) {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "whole seconds, and few"
        )]
        self.set.turn(self.at_s as u64 * 1_000_000);
        if self.set.lost_many() {
            self.set.renew();
        }
    }

    fn request(&mut self, at: usize, all: &mut Each<Both>, chance: &mut Chance) {
        let user = &mut self.users[at];
        let share = if user.canary { self.crowd.canary_fails } else { self.crowd.fails };
        let failed = match user.fate {
            Fate::Lucky => chance.happens(share),
            Fate::Poisoned => true,
            Fate::Spared => false,
        };
        let mut count = |unit: Unit| {
            let both = &mut all[unit as usize];
            let variant = if user.canary { &mut both.canary } else { &mut both.stable };
            variant.requests += 1;
            variant.failed += u64::from(failed);
        };
        count(Unit::Request);
        let (set, known_as) = (&self.set, user.known_as);
        if !set.has_left(known_as) && if failed { set.leave(known_as) } else { set.asks(known_as) } {
            count(Unit::Built);
        }
        if user.left {
            return;
        }
        count(Unit::UntilFailure);
        if failed || user.due_s <= self.at_s {
            count(Unit::Paced);
            user.due_s = self.at_s + self.crowd.each_s;
        }
        user.left = failed;
    }

    /// Of each request, and of one a user a minute.
    fn answered(&mut self, at: usize, histograms: &mut [[Histogram; 2]; 2], chance: &mut Chance) {
        let user = &mut self.users[at];
        let us = 50_000.0 * (user.level + 0.6 * chance.normal()).exp();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "microseconds: positive, and small"
        )]
        let bucket = bucket_of(us as u64);
        histograms[0][usize::from(!user.canary)].add(bucket, 1);
        if user.latency_due_s <= self.at_s {
            histograms[1][usize::from(!user.canary)].add(bucket, 1);
            user.latency_due_s = self.at_s + 60.0;
        }
    }

    fn split_by_weight(&mut self, all: &mut Each<Both>) {
        let Both { canary, stable } = all[Unit::UntilFailure as usize];
        let requests = canary.requests + stable.requests;
        self.owed += requests as f64 * self.crowd.weight;
        let mine = self.owed.floor().max(canary.failed as f64);
        self.owed -= mine;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of a count")]
        let mine = mine as u64;
        all[Unit::ByWeight as usize] = Both {
            canary: counts(mine, canary.failed),
            stable: counts(requests.saturating_sub(mine), stable.failed),
        };
    }

    fn pick(&self, chance: &mut Chance) -> usize {
        let share = chance.unit();
        let mut user = self.guide[position(share, self.guide.len())] as usize;
        while self.upto[user] < share && user + 1 < self.upto.len() {
            user += 1;
        }
        user
    }

    fn pick_evenly(&self, chance: &mut Chance) -> usize {
        chance.one_of(self.crowd.users)
    }
}

impl User {
    fn new(crowd: Crowd, chance: &mut Chance) -> Self {
        Self {
            canary: chance.happens(crowd.weight),
            known_as: users::User::of_hash(chance.bits()),
            fate: if chance.happens(crowd.poisoned) { Fate::Poisoned } else { Fate::Lucky },
            left: false,
            due_s: 0.0,
            latency_due_s: 0.0,
            level: if crowd.levels > 0.0 { crowd.levels * chance.normal() } else { 0.0 },
        }
    }
}

/// Seconds until a canary is blamed, by each of [`UNITS`], if it is.
pub(crate) fn judged(crowd: Crowd, seconds: u64, tick_s: u64, seed: u64) -> Each<Option<f64>> {
    let mut chance = Chance::new(seed);
    let mut sticky = Sticky::new(crowd, &mut chance);
    let judge = Judge { tick: Duration::from_secs(tick_s), ..bets() };
    let mut plays = UNITS.map(|_| Play::new(&judge));
    let mut found = [None; 5];
    for second in 1..=seconds {
        let all = sticky.second(&mut chance, None);
        for unit in 0..UNITS.len() {
            if found[unit].is_none() && plays[unit].step(all[unit], Calls::Once).is_unhealthy() {
                found[unit] = Some(second as f64);
            }
        }
    }
    found
}

/// Of a canary with latencies like stable's: whether it is blamed, by all requests and by one a user a minute.
pub(crate) fn judged_slow(crowd: Crowd, judge: &Judge, seconds: u64, seed: u64) -> [bool; 2] {
    let mut chance = Chance::new(seed);
    let mut sticky = Sticky::new(crowd, &mut chance);
    let mut plays = [(); 2].map(|()| Play::new(judge));
    let mut histograms: [[Histogram; 2]; 2] = Default::default();
    for _ in 0..seconds {
        histograms.iter_mut().flatten().for_each(Histogram::clear);
        let both = sticky.second(&mut chance, Some(&mut histograms))[Unit::Request as usize];
        for (play, [canary, stable]) in plays.iter_mut().zip(&mut histograms) {
            std::mem::swap(&mut play.details.0.latency, canary);
            std::mem::swap(&mut play.details.1.latency, stable);
            play.step(both, Calls::Once);
        }
    }
    plays.map(|play| play.guard.is_unhealthy())
}
