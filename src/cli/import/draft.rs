//! What is carried over, on its way to TOML: upstreams, routes and plans, each with what could not be said beside it.

use std::collections::HashSet;
use std::fmt::Write as _;

use serde_json::Value;

const NAME_CHARS_MAX: usize = 64;

#[derive(Debug, Default)]
pub(super) struct Draft {
    pub(super) upstreams: Vec<Upstream>,
    pub(super) routes: Vec<Route>,
    pub(super) plans: Vec<Plan>,
    notes: Vec<String>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Upstream {
    pub(super) name: String,
    pub(super) endpoint: String,
    /// Lines of TOML.
    pub(super) lines: Vec<String>,
    pub(super) tls: bool,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Route {
    pub(super) name: String,
    pub(super) namespace: String,
    pub(super) hosts: Vec<String>,
    /// `path_exact = "/login"`; none: every path.
    pub(super) path: Option<(&'static str, String)>,
    pub(super) stable: String,
    pub(super) canary: Option<Canary>,
    /// `cookie = "uid"`
    pub(super) sticky: Option<String>,
    pub(super) ceilings: Vec<String>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Canary {
    pub(super) upstream: String,
    pub(super) weight: String,
    /// Inline tables.
    pub(super) overrides: Vec<String>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Plan {
    pub(super) name: String,
    /// Inline tables.
    pub(super) steps: Vec<String>,
}

impl Draft {
    pub(super) fn is_empty(&self) -> bool {
        self.routes.is_empty()
    }

    /// Of what is not carried over, or needs a look.
    pub(super) fn note(&mut self, note: String) {
        self.notes.push(note);
    }

    /// The name of the upstream that is this endpoint; made if there is none with just these lines.
    pub(super) fn upstream(&mut self, wanted: Upstream) -> String {
        let same =
            |one: &&Upstream| Upstream { name: String::new(), ..(*one).clone() } == wanted_nameless(&wanted);
        if let Some(known) = self.upstreams.iter().find(same) {
            return known.name.clone();
        }
        let taken = self.upstreams.iter().map(|upstream| upstream.name.as_str()).collect();
        let name = free_name(&wanted.name, &taken);
        self.upstreams.push(Upstream { name: name.clone(), ..wanted });
        name
    }

    pub(super) fn route(&mut self, wanted: Route) -> &mut Route {
        let taken = self.routes.iter().map(|route| route.name.as_str()).collect();
        let name = free_name(&wanted.name, &taken);
        self.routes.push(Route { name, ..wanted });
        let last = self.routes.len() - 1;
        &mut self.routes[last]
    }

    /// The name that it got.
    pub(super) fn plan(&mut self, wanted: Plan) -> String {
        let taken = self.plans.iter().map(|plan| plan.name.as_str()).collect();
        let name = free_name(&wanted.name, &taken);
        self.plans.push(Plan { name: name.clone(), ..wanted });
        name
    }

    /// For people, on stderr.
    pub(super) fn told(&self) -> String {
        let mut told = String::new();
        for note in &self.notes {
            let _ = writeln!(told, "note: {note}");
        }
        told
    }

    pub(super) fn to_toml(&self) -> String {
        let mut text = "# Made by `andon import`. Addresses are those inside the cluster.\n".to_owned();
        if !self.notes.is_empty() {
            text += "#\n# Not carried over, or to be looked at:\n";
        }
        for note in &self.notes {
            let _ = writeln!(text, "# - {note}");
        }
        text += "\n[[listener]]\nname = \"public\"\naddress = \"0.0.0.0:8080\"\n";
        self.upstreams.iter().for_each(|upstream| upstream.write(&mut text));
        self.routes.iter().for_each(|route| route.write(&mut text));
        self.plans.iter().for_each(|plan| plan.write(&mut text));
        text
    }
}

fn wanted_nameless(wanted: &Upstream) -> Upstream {
    Upstream { name: String::new(), ..wanted.clone() }
}

impl Upstream {
    fn write(&self, text: &mut String) {
        let Self { name, endpoint, lines, tls } = self;
        let _ = write!(text, "\n[[upstream]]\nname = {}\nendpoints = [{}]\n", quoted(name), quoted(endpoint));
        lines.iter().for_each(|line| push_line(text, line));
        if *tls {
            text.push_str("tls = {}\n");
        }
    }
}

impl Route {
    fn write(&self, text: &mut String) {
        let _ = write!(text, "\n[[route]]\nname = {}\n", quoted(&self.name));
        if !self.hosts.is_empty() {
            let hosts: Vec<_> = self.hosts.iter().map(|host| quoted(host)).collect();
            let _ = writeln!(text, "hosts = [{}]", hosts.join(", "));
        }
        if let Some((key, path)) = &self.path {
            let _ = writeln!(text, "{key} = {}", quoted(path));
        }
        let _ = writeln!(text, "stable = {}", quoted(&self.stable));
        if let Some(Canary { upstream, weight, overrides }) = &self.canary {
            let _ =
                write!(text, "\n[[route.canary]]\nupstream = {}\nweight = \"{weight}\"\n", quoted(upstream));
            write_list(text, "overrides", overrides);
        }
        if let Some(key) = &self.sticky {
            let _ = write!(text, "\n[route.sticky]\n{key}\n");
        }
        if !self.ceilings.is_empty() {
            text.push_str("\n[route.guard]\n");
            write_list(text, "ceilings", &self.ceilings);
        }
    }
}

impl Plan {
    fn write(&self, text: &mut String) {
        let _ = write!(text, "\n[[plan]]\nname = {}\n", quoted(&self.name));
        write_list(text, "steps", &self.steps);
    }
}

fn write_list(text: &mut String, key: &str, tables: &[String]) {
    match tables {
        [] => {}
        [only] => push_line(text, &format!("{key} = [{only}]")),
        several => push_line(text, &format!("{key} = [\n    {},\n]", several.join(",\n    "))),
    }
}

fn push_line(text: &mut String, line: &str) {
    text.push_str(line);
    text.push('\n');
}

/// As TOML: the escapes of JSON are among those of a basic string.
pub(super) fn quoted(text: &str) -> String {
    Value::from(text).to_string().replace('\u{7f}', "\\u007f")
}

/// With only what a name may hold, no longer than it may be, and not taken.
fn free_name(wanted: &str, taken: &HashSet<&str>) -> String {
    let allowed = |char: char| if char.is_ascii_alphanumeric() || "._-".contains(char) { char } else { '-' };
    let name: String = wanted.chars().map(allowed).take(NAME_CHARS_MAX - 8).collect();
    let numbered = (2..).map(|number| format!("{name}-{number}"));
    let mut names = std::iter::once(name.clone()).chain(numbered);
    names.find(|name| !taken.contains(name.as_str())).unwrap_or(name)
}
