//! The addresses of one name, and how long they hold.
//!
//! `/etc/hosts` first, then the servers, as every other program on the machine does it. Both files are read
//! anew each time, so that their changes are seen. A and AAAA are asked for apart, since half an answer would take
//! endpoints away that are well: if one of the two fails, the whole lookup has failed, and whoever asked keeps what
//! it has. That a name has no records of one kind is an answer; that it has none of both is a failure.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use hickory_resolver::config::{
    ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts,
};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::RecordType;
use hickory_resolver::{Hosts, TokioResolver};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::config::{Dns, Upstream};

/// What is waited for before endpoints are needed: at the start, and before a new file is put in force.
const FIRST_MAX: Duration = Duration::from_secs(4);

/// Lookups of the process at one time. Further ones wait their turn.
const LOOKUPS_MAX: usize = 64;

static LOOKUPS: Semaphore = Semaphore::const_new(LOOKUPS_MAX);

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Addresses {
    /// In order, each once, at least one, at most as many as an upstream may have endpoints.
    pub list: Arc<[IpAddr]>,
    /// As DNS says, within the bounds.
    pub ttl: Duration,
}

#[derive(Debug, thiserror::Error)]
pub enum LookupError {
    #[error(transparent)]
    Net(#[from] NetError),
    #[error("/etc/hosts and /etc/resolv.conf cannot be read just now")]
    Files,
    #[error("the name has no address")]
    Empty,
}

pub async fn resolve(dns: &Dns, host: &str) -> Result<Addresses, LookupError> {
    // It is never closed.
    let _turn = LOOKUPS.acquire().await;
    let (name, settings) = (host.to_owned(), dns.clone());
    let files = tokio::task::spawn_blocking(move || match of_hosts_file(&name) {
        Some(list) => Ok(Found::Here(list)),
        None => resolver(&settings).map(|resolver| Found::Asking(Box::new(resolver))),
    });
    let resolver = match files.await.map_err(|_| LookupError::Files)?? {
        Found::Here(list) => return Ok(Addresses { list, ttl: dns.ttl_min }),
        Found::Asking(resolver) => resolver,
    };
    let (four, six) =
        tokio::join!(records(&resolver, host, RecordType::A), records(&resolver, host, RecordType::AAAA));
    let ((mut found, four_ttl), (more, six_ttl)) = (four?, six?);
    found.extend(more);
    let ttl = four_ttl.min(six_ttl).clamp(dns.ttl_min, dns.ttl_max);
    Ok(Addresses { list: in_order(found).ok_or(LookupError::Empty)?, ttl })
}

/// What `/etc/hosts` and `/etc/resolv.conf` say.
enum Found {
    Here(Arc<[IpAddr]>),
    Asking(Box<TokioResolver>),
}

/// Of many names at once. Those that have no answer in time are left out.
pub async fn first_answers(dns: &Dns, hosts: Vec<Arc<str>>) -> Vec<(Arc<str>, Arc<[IpAddr]>)> {
    let mut lookups = JoinSet::new();
    for host in hosts {
        let dns = dns.clone();
        lookups.spawn(async move { resolve(&dns, &host).await.map(|found| (host, found.list)) });
    }
    let mut answers = Vec::new();
    let all = async {
        while let Some(done) = lookups.join_next().await {
            answers.extend(done.ok().and_then(Result::ok));
        }
    };
    // An error is the time limit: what came until then is used.
    let _ = tokio::time::timeout(FIRST_MAX, all).await;
    answers
}

fn of_hosts_file(host: &str) -> Option<Arc<[IpAddr]>> {
    use hickory_resolver::proto::op::Query;
    use hickory_resolver::proto::rr::Name;
    let (hosts, name) = (Hosts::from_system().ok()?, Name::from_utf8(host).ok()?);
    let of_kind = |kind| hosts.lookup_static_host(&Query::query(name.clone(), kind));
    let found = [RecordType::A, RecordType::AAAA].into_iter().filter_map(of_kind);
    in_order(found.flat_map(|lookup| addresses(&lookup)).collect())
}

fn resolver(dns: &Dns) -> Result<TokioResolver, NetError> {
    let mut builder = if dns.servers.is_empty() {
        TokioResolver::builder_tokio()?
    } else {
        let servers = dns.servers.iter().map(|server| {
            let mut connections = vec![ConnectionConfig::udp(), ConnectionConfig::tcp()];
            connections.iter_mut().for_each(|connection| connection.port = server.port());
            NameServerConfig::new(server.ip(), true, connections)
        });
        let config = ResolverConfig::from_name_servers(servers.collect());
        TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
    };
    configure(builder.options_mut(), dns);
    builder.build()
}

/// The cache is off: we ask when the time has come, and want to hear the TTL of the server.
fn configure(options: &mut ResolverOpts, dns: &Dns) {
    options.cache_size = 0;
    options.timeout = dns.timeout;
    options.attempts = 1;
    options.use_hosts_file = ResolveHosts::Never;
}

/// An answer without records holds for as long as the other one says.
async fn records(
    resolver: &TokioResolver,
    host: &str,
    kind: RecordType,
) -> Result<(Vec<IpAddr>, Duration), NetError> {
    match resolver.lookup(host, kind).await {
        Ok(lookup) => {
            let ttl = lookup.answers().iter().map(|record| record.ttl).min().unwrap_or(0);
            Ok((addresses(&lookup), Duration::from_secs(ttl.into())))
        }
        Err(error) if error.is_no_records_found() => Ok((Vec::new(), Duration::MAX)),
        Err(error) => Err(error),
    }
}

fn addresses(lookup: &hickory_resolver::lookup::Lookup) -> Vec<IpAddr> {
    lookup.answers().iter().filter_map(|record| record.data.ip_addr()).collect()
}

fn in_order(mut found: Vec<IpAddr>) -> Option<Arc<[IpAddr]>> {
    found.sort_unstable();
    found.dedup();
    found.truncate(Upstream::ENDPOINTS_MAX);
    (!found.is_empty()).then(|| found.into())
}

#[cfg(test)]
mod tests;
