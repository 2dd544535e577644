//! # Andon: a reverse proxy with an immune system
//!
//! Andon stands in front of a service, splits live traffic between the stable version and a canary,
//! watches what every request did, and takes the canary back on its own the moment the evidence says
//! that it is worse. Then it holds the line, the andon cord, until a person has looked.
//!
//! This page is the map. The folders, in reading order:
//!
//! | folder | what it is | what it must not do |
//! |---|---|---|
//! | [`config`] | the TOML file, parsed once into types that cannot hold a bad value | import anything of ours |
//! | [`metrics`] | counters: outcomes with blame, shards with a single writer, totals, exposition | know what is done with them |
//! | [`routing`] | the immutable snapshot and the decision: which variant, which endpoint, why | read a clock, socket or random source |
//! | [`tls`] | certificates and keys: read, checked, kept as fresh as their files | open a connection |
//! | [`upstream`] | what is known of endpoints: checks, ejection, names; a thread of its own asks | decide a request, or publish |
//! | [`proxy`] | the data plane; the journey of a request is [`proxy::request`], start there | know that canaries are judged |
//! | [`immune`] | evidence, rules, verdict | read a clock, socket or random source |
//! | [`store`] | what must survive a restart | decide anything |
//! | [`notify`] | webhooks, chats, outside signals; threads of their own tell and ask | hold up a decision, or make one |
//! | [`control`] | the only place where state changes; ticks, takes commands, publishes snapshots | run inside a request |
//! | [`admin`] | the HTTP face of [`control`] | change state by itself |
//! | [`demo`] | `andon demo`: the whole story on loopback | touch other networks or leave files |
//! | [`cli`] | one file a verb; a client of the admin API | know the inside, except run, check, demo |
//! | [`app`] | wiring, signals, drain, systemd, the hand-over to a new binary | decide about traffic |
//!
//! A place that is kept for what is not built yet: `release` (plans and their progress, pure). `tests/it/tidy` knows who
//! may import it.
//!
//! # Words
//!
//! Downstream is the client's side, upstream the server's. A *route* matches requests; a *variant* is one
//! version serving it: `stable`, or a named *canary*. A canary's *aim* is the weight that a person wants, its
//! *ceiling* the most that the immune system allows, its *effective weight* 0 while the *cord* is pulled, else
//! the smaller of the two; stable has the rest. An *outcome* says how a request ended, its *blame* whose doing
//! that was. Only upstream blame is evidence.
//!
//! # Invariants, and what enforces each
//!
//! 1. The data plane does not know that canaries are judged: `proxy` and `routing` import nothing of `immune`,
//!    `control`, `store` (`tests/it/tidy`).
//! 2. `routing` and `immune` read no clock, socket or random source (clippy bans, `tests/it/tidy`).
//! 3. There is one `ArcSwap`, the routing snapshot: made in `routing::live`, stored by `control::publish` alone (clippy
//!    ban). Certificates come by a `watch` channel that `tls::Keeper` alone sends on; another one tells that a snapshot
//!    has closed a canary, and carries nothing but its number.
//! 4. A request sees one generation: `routing::decide` returns a `Copy` decision, and no snapshot lives across
//!    an await (`clippy::await_holding_refcell_ref`, the type of [`routing::Decision`]).
//! 5. Every request ends in exactly one outcome with a blame, recorded on drop: `proxy::record`.
//! 6. Workers share no lock of ours (clippy bans the types). What several write is atomic: connections
//!    (`proxy::admission`), harm budgets and `concurrent_max` (`routing::harm`), users who failed (`metrics::users`). rustls has
//!    locks of its own around ticket keys and sessions with upstreams, taken once a handshake and never once a request.
//! 7. Weight 0 sends nothing, 100% sends all, the split is exact (property tests in `routing::split`).
//! 8. Effective = min(aim, ceiling), 0 under a cord. The immune system raises nothing but ceilings that it has lowered
//!    itself, a step at a time, never above the aim and never under a cord: `control::state`, `control::ladder`.
//! 9. A bad config or command changes nothing: the whole new state is built before the old one is touched.
//! 10. Nothing is unbounded: each queue, pool, buffer and table has a `_MAX` and says what happens when full.
//! 11. Traffic outlives the control plane and the store: workers need neither (tests kill both).
//! 12. No byte from the network panics a worker, sticks it, or makes it wait for ever.
//! 13. A truncated upstream answer never looks complete (`tests/it`).
//! 14. Lowering publishes first, then persists; raising persists first, then publishes: `control::controller`.
//! 15. The record is append-only, and each automatic decision carries its numbers: `store::record`.
//! 16. No more users than `harm_max` see a canary fail: a request holds a permit before it goes there, and what did
//!     harm never gives it back: `routing::harm` (`tests/it/harm.rs`).

pub mod config;
pub mod metrics;
pub mod routing;
pub mod tls;

pub mod proxy;
pub mod upstream;

pub mod immune;
pub mod release;
pub mod store;

pub mod notify;

pub mod control;

pub mod admin;
pub mod app;
pub mod cli;
pub mod demo;
pub mod logging;
