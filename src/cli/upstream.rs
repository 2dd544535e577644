//! `andon upstream`: which endpoints an upstream has, and others in their place.

use http::Method;

use super::client::segment;
use super::format::{clean, lines, table};
use super::remote::{Remote, Signature, name};
use super::{Exit, Failure, output};
use crate::admin::upstreams::{EndpointJson, UpstreamJson, UpstreamsJson};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Show the endpoints of all upstreams, and whose word is in force
    List(List),
    /// Give an upstream other endpoints, until the file says others
    Set(Set),
    /// Give it those of the file again
    Reset(Reset),
}

#[derive(Debug, clap::Args)]
struct List {
    #[command(flatten)]
    remote: Remote,
}

#[derive(Debug, clap::Args)]
struct Set {
    #[arg(value_parser = name())]
    upstream: String,
    /// Such as 127.0.0.1:9001,dns://shop-v2.internal:9001
    #[arg(value_name = "ENDPOINTS", value_delimiter = ',', required = true, value_parser = name())]
    endpoints: Vec<String>,
    #[command(flatten)]
    signature: Signature,
    #[command(flatten)]
    remote: Remote,
}

#[derive(Debug, clap::Args)]
struct Reset {
    #[arg(value_parser = name())]
    upstream: String,
    #[command(flatten)]
    signature: Signature,
    #[command(flatten)]
    remote: Remote,
}

const HEADER: [&str; 4] = ["UPSTREAM", "SOURCE", "ENDPOINT", "STATE"];

pub(super) fn run(args: &Args) -> Result<Exit, Failure> {
    match &args.what {
        What::List(List { remote }) => {
            let reply = remote.admin.get("/api/v1/upstreams")?;
            remote.show(&reply, |all: UpstreamsJson| listed(&all.upstreams))
        }
        What::Set(Set { upstream, endpoints, signature, remote }) => {
            let mut body = signature.body();
            body.insert("endpoints".to_owned(), endpoints.as_slice().into());
            let reply = remote.admin.send(Method::PUT, &path(upstream), body)?;
            remote.show(&reply, |after: UpstreamJson| told(&after))
        }
        What::Reset(Reset { upstream, signature, remote }) => {
            let reply = remote.admin.send(Method::DELETE, &path(upstream), signature.body())?;
            remote.show(&reply, |after: UpstreamJson| told(&after))
        }
    }
}

fn path(upstream: &str) -> String {
    format!("/api/v1/upstreams/{}", segment(upstream))
}

fn told(after: &UpstreamJson) -> String {
    let whose = if after.announced.is_some() {
        format!("; the file says {}", after.file.join(", "))
    } else {
        ", as the file says".to_owned()
    };
    clean(&format!("{}: {}{whose}", after.name, after.set.join(", "))) + "\n"
}

fn listed(upstreams: &[UpstreamJson]) -> String {
    if upstreams.is_empty() {
        return "no upstreams\n".to_owned();
    }
    let mut table = table(&HEADER, 0..0, output::stdout_color());
    for upstream in upstreams {
        let source = match &upstream.announced {
            Some(announced) => format!("live, by {}: {}", announced.by, announced.why),
            None => upstream.source.clone(),
        };
        let row = |endpoint: &EndpointJson| {
            [&upstream.name, &source, &endpoint.address, state(endpoint)].map(clean)
        };
        table.add_rows(upstream.endpoints.iter().map(row));
        if upstream.endpoints.is_empty() {
            table.add_row([&upstream.name, &source, "-", "none found"].map(clean));
        }
    }
    lines(&table).iter().map(|line| format!("{line}\n")).collect()
}

fn state(endpoint: &EndpointJson) -> &'static str {
    match (endpoint.used, endpoint.healthy, endpoint.ejected) {
        (true, ..) => "used",
        (false, Some(false), _) => "fails its checks",
        (false, _, true) => "ejected",
        (false, ..) => "not used",
    }
}
