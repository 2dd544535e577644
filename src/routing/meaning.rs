//! What answers of a route mean where their status does not say it: `[[route.guard.failures]]` and `[[route.guard.event]]`.
//!
//! Which rules are about a request is found once, while it is routed and its method and path are at hand in their normal
//! form. What is kept of that is two sets of bits beside the route's rules, so that the answer costs no path to be
//! compared, and a reload in between changes nothing. A request that no rule is about keeps nothing.

use std::sync::Arc;

use http::{HeaderMap, StatusCode};

use crate::config::{CountsAs, Event, FailureRule, Guard};

use super::{Answer, Snapshot, View};

/// Of one route.
#[derive(Debug)]
pub struct Meaning {
    failures: Box<[FailureRule]>,
    events: Box<[Event]>,
}

const _: () = assert!(FailureRule::RULES_MAX <= 64 && Event::EVENTS_MAX <= 8, "a bit for each");

/// What decides: of a gRPC call that was answered with 200 the code alone, of all else the status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answered {
    Status(StatusCode),
    Call { code: u8 },
}

/// What the answer to one request may mean.
#[derive(Clone, Debug)]
pub struct Meant {
    meaning: Arc<Meaning>,
    /// A bit for each rule and each event that is about this request, in their order.
    rules: u64,
    events: u8,
}

impl Meaning {
    /// `None`: there is nothing to look at.
    pub(super) fn of(guard: &Guard) -> Option<Arc<Self>> {
        let Guard { failures, events, .. } = guard;
        (!failures.is_empty() || !events.is_empty()).then(|| {
            Arc::new(Self { failures: failures.as_slice().into(), events: events.as_slice().into() })
        })
    }
}

impl Meant {
    /// `None`: no rule of its route is about this request.
    pub fn of(snapshot: &Snapshot, answer: &Answer, view: &View<'_>) -> Option<Self> {
        let Answer::Forward(decision) = answer else { return None };
        let route = snapshot.table().routes().get(decision.place.route)?;
        Self::within(route.serving.as_ref()?.meaning.as_ref()?, view)
    }

    fn within(meaning: &Arc<Meaning>, view: &View<'_>) -> Option<Self> {
        let (method, path) = (view.method, view.path);
        let rules = meaning.failures.iter().map(|rule| rule.asked.includes(method, path));
        let rules = rules.enumerate().fold(0, |bits, (at, about)| bits | u64::from(about) << at);
        let events = meaning.events.iter().map(|event| event.asked.includes(method, path));
        let events = events.enumerate().fold(0, |bits, (at, about)| bits | u8::from(about) << at);
        (rules != 0 || events != 0).then(|| Self { meaning: Arc::clone(meaning), rules, events })
    }

    /// What the first rule that fits says. `None`: none does.
    pub fn counts_as(&self, answered: Answered) -> Option<CountsAs> {
        let fits = |rule: &FailureRule| match answered {
            Answered::Status(status) => rule.statuses.contains(status),
            Answered::Call { code } => rule.grpc.contains(code),
        };
        let about = self.meaning.failures.iter().enumerate().filter(|(at, _)| self.rules & 1 << at != 0);
        about.map(|(_, rule)| rule).find(|rule| fits(rule)).map(|rule| rule.counts_as)
    }

    /// Which events this answer is, a bit for each.
    pub fn events(&self, status: StatusCode, headers: &HeaderMap) -> u8 {
        let mut bits = self.events;
        for (at, event) in self.meaning.events.iter().enumerate() {
            if !event.is(status, headers) {
                bits &= !(1 << at);
            }
        }
        bits
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use http::{HeaderName, HeaderValue, Method};

    use super::*;
    use crate::config;
    use crate::routing::testing::{Request, snapshot, split_route};
    use crate::routing::{Dice, decide};

    const RULES: &str = r#"
        [[route.guard.failures]]
        methods = ["GET"]
        path = "/catalogue"
        statuses = [404]
        [[route.guard.failures]]
        path_regex = "/(catalogue|search)/.*"
        statuses = ["4xx", 503]
        grpc = ["NOT_FOUND"]
        counts_as = "success"
        [[route.guard.failures]]
        path_exact = "/search/slow"
        statuses = ["5xx"]
        grpc = ["NOT_FOUND"]
        counts_as = "nothing"
        [[route.guard.event]]
        name = "order"
        methods = ["POST"]
        path = "/orders"
        header = { name = "x-order", value = "placed" }
        [[route.guard.event]]
        name = "any"
        path = "/orders"
        statuses = [404]
    "#;

    fn guard(rules: &str) -> Guard {
        let text = format!(
            "[[listener]]\nname = \"public\"\naddress = \"127.0.0.1:0\"\n\
             [[upstream]]\nname = \"v1\"\nendpoints = [\"127.0.0.1:1\"]\n\
             [[route]]\nname = \"shop\"\nstable = \"v1\"\n{rules}"
        );
        let config = config::parse("f", &text, Path::new("")).unwrap();
        config.routes[0].guard.clone()
    }

    fn meant(rules: &str, method: Method, path: &str) -> Option<Meant> {
        let mut route = split_route("shop", &["v2"]);
        route.guard = guard(rules);
        let snapshot = snapshot(vec![route], &[0]);
        let request = Request { method, ..Request::get("shop.example", path) };
        let answer = decide(&snapshot, &request.view(), &mut Dice::new(1), |_| 0).answer;
        Meant::of(&snapshot, &answer, &request.view())
    }

    #[track_caller]
    fn says(path: &str, answered: Answered, expected: Option<CountsAs>) {
        let meant = meant(RULES, Method::GET, path).expect("a rule is about it");
        assert_eq!(meant.counts_as(answered), expected, "{path} {answered:?}");
    }

    fn status(code: u16) -> Answered {
        Answered::Status(StatusCode::from_u16(code).unwrap())
    }

    #[test]
    fn the_first_rule_that_fits_decides() {
        says("/catalogue", status(404), Some(CountsAs::Failure));
        says("/catalogue/7", status(404), Some(CountsAs::Failure));
        says("/catalogue/7", status(403), Some(CountsAs::Success));
        says("/catalogue/7", status(500), None);
        says("/search/slow", status(503), Some(CountsAs::Success));
        says("/search/slow", status(500), Some(CountsAs::Nothing));
        says("/search/quick", status(500), None);
    }

    #[test]
    fn a_call_is_judged_by_its_code() {
        says("/search/slow", Answered::Call { code: 5 }, Some(CountsAs::Success));
        says("/search/slow", Answered::Call { code: 14 }, None);
        says("/catalogue", Answered::Call { code: 5 }, None);
    }

    #[test]
    fn a_request_that_no_rule_is_about_keeps_nothing() {
        assert!(meant("", Method::GET, "/catalogue").is_none());
        assert!(meant(RULES, Method::POST, "/catalogue").is_none());
        assert!(meant(RULES, Method::GET, "/catalogues").is_none());
        assert!(meant(RULES, Method::GET, "/").is_none());
    }

    #[test]
    fn an_event_is_known_by_status_and_header() {
        let placed =
            HeaderMap::from_iter([(HeaderName::from_static("x-order"), HeaderValue::from_static("placed"))]);
        let nothing = HeaderMap::new();
        let post = meant(RULES, Method::POST, "/orders").unwrap();
        assert_eq!(post.events(StatusCode::CREATED, &placed), 0b01);
        assert_eq!(post.events(StatusCode::CREATED, &nothing), 0);
        assert_eq!(post.events(StatusCode::NOT_FOUND, &placed), 0b10);
        assert_eq!(post.events(StatusCode::FOUND, &placed), 0);
        let get = meant(RULES, Method::GET, "/orders/1").unwrap();
        assert_eq!(get.events(StatusCode::OK, &placed), 0);
        assert_eq!(get.events(StatusCode::NOT_FOUND, &nothing), 0b10);
    }
}
