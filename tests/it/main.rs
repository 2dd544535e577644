//! What a user meets, and what the house demands: one binary, so the library is linked once.
//!
//! `support` holds both ends of the sockets around a real `andon run`; the modules that use it are one behaviour
//! each, seen from the outer face alone: a configuration file, sockets and bytes.

#[cfg(test)]
mod support;

mod admin;
mod admin_auth;
mod admin_once;
mod admin_session;
mod admin_sockets;
mod cli;
#[cfg(test)]
mod dashboard;
mod demo;
mod fake_admin;
mod loadtest;
mod readme;
mod record;
#[cfg(test)]
mod record_chain;
mod tidy;
mod units;

#[cfg(test)]
mod access_log;
#[cfg(test)]
mod back_off;
#[cfg(test)]
mod bodies;
#[cfg(test)]
mod departures;
#[cfg(test)]
mod drift;
#[cfg(test)]
mod drill;
#[cfg(test)]
mod early;
#[cfg(test)]
mod endpoints;
#[cfg(test)]
mod events;
#[cfg(test)]
mod evidence;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod forecast;
#[cfg(test)]
mod forwarding;
#[cfg(test)]
mod grpc;
#[cfg(test)]
mod harm;
#[cfg(test)]
mod headers;
#[cfg(test)]
mod http2;
#[cfg(test)]
mod http2_attacks;
#[cfg(test)]
mod http2_malformed;
#[cfg(test)]
mod http2_upstream;
#[cfg(test)]
mod http_safety;
#[cfg(test)]
mod immune;
#[cfg(test)]
mod life;
#[cfg(test)]
mod limits;
#[cfg(test)]
mod metrics;
#[cfg(test)]
mod mirror;
#[cfg(test)]
mod notify;
#[cfg(test)]
mod openapi;
#[cfg(all(test, feature = "otlp"))]
mod otlp;
#[cfg(test)]
mod outside;
#[cfg(test)]
mod persistence;
#[cfg(test)]
mod pooling;
#[cfg(test)]
mod recall;
#[cfg(test)]
mod regressions;
#[cfg(test)]
mod release;
#[cfg(test)]
mod reload_atomic;
#[cfg(test)]
mod rescue;
#[cfg(test)]
mod retries;
#[cfg(test)]
mod routes;
#[cfg(test)]
mod self_test;
#[cfg(test)]
mod shortage;
#[cfg(test)]
mod signals;
#[cfg(test)]
mod simulation;
#[cfg(test)]
mod slow_clients;
#[cfg(test)]
mod split;
#[cfg(test)]
mod streams;
#[cfg(test)]
mod survival;
#[cfg(test)]
mod tls;
mod tls_endpoints;
#[cfg(test)]
mod tracing;
#[cfg(test)]
mod upgrade;
#[cfg(test)]
mod upstreams_live;
#[cfg(test)]
mod websocket;
#[cfg(test)]
mod websocket_h2;
