//! Manifests as their documentation writes them, and what becomes of them.

use super::*;

fn imported(yaml: &str) -> Draft {
    let mut manifests = Manifests::default();
    manifests.read("test.yaml", yaml).unwrap();
    draft_of(&manifests)
}

#[track_caller]
fn toml(yaml: &str) -> String {
    let text = imported(yaml).to_toml();
    if let Err(problems) = config::parse("the result", &text, Path::new(".")) {
        panic!("{text}\n{}", problems.drawn(config::Color::Plain));
    }
    text
}

#[track_caller]
fn assert_has(text: &str, lines: &[&str]) {
    for line in lines {
        assert!(text.contains(line), "{line:?} is missing in:\n{text}");
    }
}

fn ingress(name: &str, annotations: &str, service: &str) -> String {
    format!(
        "---\napiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata:\n  name: {name}\n  namespace: shop\n  \
         annotations:\n    kubernetes.io/ingress.class: nginx\n{annotations}spec:\n  rules:\n  - host: shop.example\n    http:\n      \
         paths:\n      - path: /\n        pathType: Prefix\n        backend:\n          service:\n            name: {service}\n            \
         port:\n              number: 8080\n"
    )
}

fn canary(annotations: &[(&str, &str)]) -> String {
    let mut all = "    nginx.ingress.kubernetes.io/canary: \"true\"\n".to_owned();
    for (name, value) in annotations {
        all += &format!("    nginx.ingress.kubernetes.io/{name}: \"{value}\"\n");
    }
    ingress("web", "", "shop-v1") + &ingress("web-canary", &all, "shop-v2")
}

#[test]
fn an_ingress_and_its_canary_are_one_route() {
    let text = toml(&canary(&[("canary-weight", "5")]));
    assert_has(
        &text,
        &[
            "[[upstream]]\nname = \"shop-v1\"\nendpoints = [\"dns://shop-v1.shop.svc.cluster.local:8080\"]\n",
            "[[route]]\nname = \"web\"\nhosts = [\"shop.example\"]\nstable = \"shop-v1\"\n",
            "[[route.canary]]\nupstream = \"shop-v2\"\nweight = \"5%\"\n",
        ],
    );
    assert!(!text.contains("Not carried over"), "{text}");
}

#[test]
fn a_weight_is_a_part_of_its_total() {
    for (annotations, weight) in [
        (&[("canary-weight", "25"), ("canary-weight-total", "1000")][..], "2.5%"),
        (&[("canary-weight", "150")], "100%"),
        (&[("canary-weight", "1"), ("canary-weight-total", "0")], "100%"),
        (&[], "0%"),
    ] {
        assert_has(&toml(&canary(annotations)), &[&format!("weight = \"{weight}\"")]);
    }
    let draft = imported(&canary(&[("canary-weight", "many")]));
    assert_has(&draft.told(), &["canary-weight is \"many\", which is no number; 0 is taken"]);
}

#[test]
fn headers_and_cookies_become_overrides() {
    let text = toml(&canary(&[("canary-by-header", "x-canary"), ("canary-by-cookie", "beta")]));
    assert_has(
        &text,
        &[
            "{ header = \"x-canary\", value = \"always\" },\n",
            "{ header = \"x-canary\", value = \"never\", to = \"stable\" },\n",
            "{ cookie = \"beta\", value = \"always\" },\n",
            "{ cookie = \"beta\", value = \"never\", to = \"stable\" },\n",
        ],
    );
    let text = toml(&canary(&[("canary-by-header", "x-ring"), ("canary-by-header-value", "alpha")]));
    assert_has(&text, &["overrides = [{ header = \"x-ring\", value = \"alpha\" }]"]);
    let told =
        imported(&canary(&[("canary-by-header", "x-ring"), ("canary-by-header-pattern", "a.*")])).told();
    assert_has(&told, &["canary-by-header-pattern \"a.*\" of x-ring: overrides compare whole values"]);
}

#[test]
fn whatever_is_not_carried_over_is_named() {
    let more = "    nginx.ingress.kubernetes.io/rewrite-target: /$1\n    nginx.ingress.kubernetes.io/proxy-read-timeout: \"30\"\n    \
                nginx.ingress.kubernetes.io/auth-url: https://auth.example\n    nginx.ingress.kubernetes.io/backend-protocol: GRPCS\n    \
                nginx.ingress.kubernetes.io/upstream-hash-by: $cookie_uid\n";
    let yaml =
        ingress("web", more, "shop-v1") + "  tls:\n  - hosts: [shop.example]\n    secretName: shop-tls\n";
    let yaml = yaml + "---\napiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: web\n";
    let (text, told) = (toml(&yaml), imported(&yaml).told());
    assert_has(
        &told,
        &[
            "note: Ingress shop/web: annotation rewrite-target = \"/$1\": see strip_prefix",
            "note: Ingress shop/web: annotation auth-url = \"https://auth.example\"\n",
            "note: Ingress shop/web: TLS of [\"shop.example\"] from secret \"shop-tls\"",
            "note: Deployment default/web: says nothing of how traffic is split\n",
        ],
    );
    assert_eq!(told.lines().count(), text.lines().filter(|line| line.starts_with("# - ")).count());
    assert_has(
        &text,
        &[
            "response_timeout = \"30s\"\nbody_timeout = \"30s\"\nprotocol = \"h2\"\nbalance = \"hash\"\ntls = {}\n",
            "[route.sticky]\ncookie = \"uid\"\n",
        ],
    );
}

#[test]
fn a_canary_without_its_other_ingress_is_told() {
    let yaml = ingress("web", "", "shop-v1").replace("shop.example", "other.example")
        + &ingress("trial", "    nginx.ingress.kubernetes.io/canary: \"true\"\n", "shop-v2");
    let draft = imported(&yaml);
    assert_has(
        &draft.told(),
        &[
            "Ingress shop/trial: no other Ingress of these files serves shop.example/, so there is nothing to split",
        ],
    );
    assert!(draft.routes[0].canary.is_none());
}

#[test]
fn ports_with_names_are_looked_up() {
    let service = "---\napiVersion: v1\nkind: Service\nmetadata: {name: shop-v1, namespace: shop}\nspec:\n  ports:\n  - {name: web, \
                   port: 8443}\n";
    let named = ingress("web", "", "shop-v1").replace("number: 8080", "name: web");
    assert_has(&toml(&(named.clone() + service)), &["shop-v1.shop.svc.cluster.local:8443"]);
    assert_has(&imported(&named).told(), &["port \"web\" of Service shop-v1 is not known here; 80 is taken"]);
}

#[test]
fn old_ingresses_lists_and_paths_are_read() {
    let yaml = "apiVersion: v1\nkind: List\nitems:\n- apiVersion: extensions/v1beta1\n  kind: Ingress\n  metadata: {name: old}\n  spec:\n    \
                rules:\n    - http:\n        paths:\n        - {path: /api, backend: {serviceName: api, servicePort: 80}}\n        - {path: \
                /login, pathType: Exact, backend: {serviceName: login, servicePort: 80}}\n";
    assert_has(
        &toml(yaml),
        &[
            "name = \"old\"\npath = \"/api\"\nstable = \"api\"\n",
            "name = \"old-2\"\npath_exact = \"/login\"\nstable = \"login\"\n",
        ],
    );
}

#[test]
fn what_is_no_manifest_is_refused_with_its_place() {
    for (yaml, found) in [
        ("a: [", "test.yaml is not YAML that can be read: "),
        (
            "kind: Ingress\n",
            "test.yaml: document 1: is not a manifest of Kubernetes: it has no kind, or no metadata.name",
        ),
        ("---\n{}\n", "document 1: "),
        ("- 1\n", "test.yaml: document 1: is not a manifest"),
    ] {
        let refused = Manifests::default().read("test.yaml", yaml).unwrap_err();
        assert!(refused.contains(found), "{refused}");
    }
    // A few hundred bytes that would be gigabytes.
    let mut bomb = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n".to_owned();
    for level in 1..10 {
        let before = format!("*a{}", level - 1);
        bomb += &format!("a{level}: &a{level} [{}]\n", [before.as_str(); 10].join(","));
    }
    assert!(Manifests::default().read("test.yaml", &bomb).is_err());
}

fn flagger(analysis: &str) -> String {
    format!(
        "apiVersion: flagger.app/v1beta1\nkind: Canary\nmetadata: {{name: podinfo, namespace: test}}\nspec:\n  targetRef: {{apiVersion: \
         apps/v1, kind: Deployment, name: podinfo}}\n  progressDeadlineSeconds: 60\n  service:\n    port: 9898\n    hosts: [app.example]\n    \
         timeout: 1m30s\n    retries: {{attempts: 3}}\n  analysis:\n    interval: 1m\n    threshold: 5\n{analysis}"
    )
}

#[test]
fn an_analysis_of_flagger_is_a_plan() {
    let yaml = flagger(
        "    maxWeight: 30\n    stepWeight: 10\n    metrics:\n    - {name: request-success-rate, thresholdRange: {min: 99}, interval: 1m}\n    \
         - {name: request-duration, thresholdRange: {max: 500}, interval: 30s}\n    - {name: orders, templateRef: {name: orders}}\n    \
         webhooks:\n    - {name: gate, type: confirm-promotion, url: http://gate}\n    - {name: load, url: http://load}\n",
    );
    let (text, told) = (toml(&yaml), imported(&yaml).told());
    assert_has(
        &text,
        &[
            "name = \"podinfo-primary\"\nendpoints = [\"dns://podinfo-primary.test.svc.cluster.local:9898\"]\nrequest_timeout = \"90s\"\n",
            "stable = \"podinfo-primary\"\n",
            "upstream = \"podinfo-canary\"\nweight = \"0%\"\n",
            "{ error_rate = \"1%\", window = \"1m\" }",
            "{ percentile = 99, latency = \"500ms\", window = \"30s\" }",
            "{ to = \"10%\", hold = \"1m\" },\n    { to = \"20%\", hold = \"1m\" },\n    { to = \"30%\", hold = \"1m\" },\n    { to = \
             \"100%\", hold = \"1m\", approve = true },\n",
        ],
    );
    assert_has(
        &told,
        &[
            "metric \"orders\" is to be written as an outside signal",
            "webhook \"load\" of type \"rollout\" is to be run by the pipeline",
            "spec.progressDeadlineSeconds = 60\n",
            "spec.service.retries = {\"attempts\":3}\n",
            "5 failed checks: the guard acts when the evidence is there",
            "its release is `andon release start podinfo --plan podinfo`",
        ],
    );
}

#[test]
fn an_ab_test_is_overrides_and_one_step() {
    let yaml = flagger(
        "    iterations: 10\n    match:\n    - headers: {x-canary: {exact: insider}}\n    - headers: {cookie: {regex: \
         \"^(.*?;)?(canary=always)(;.*)?$\"}}\n    - headers: {user-agent: {regex: \".*Firefox.*\"}}\n",
    );
    assert_has(
        &toml(&yaml),
        &[
            "{ header = \"x-canary\", value = \"insider\" }",
            "{ cookie = \"canary\", value = \"always\" }",
            "steps = [{ to = \"100%\", hold = \"10m\" }]",
        ],
    );
    assert_has(&imported(&yaml).told(), &["that is less than {\"headers\":{\"user-agent\""]);
}

#[test]
fn steps_rise_and_end_below_the_whole() {
    for (analysis, steps) in [
        ("    stepWeights: [1, 2, 10, 5, 100]\n", 4),
        ("    maxWeight: 100\n    stepWeight: 50\n", 2),
        ("    maxWeight: 99\n    stepWeight: 1\n", 51),
        ("    maxWeight: 0\n", 1),
        ("    iterations: 5\n", 1),
    ] {
        assert_eq!(imported(&flagger(analysis)).plans[0].steps.len(), steps, "{analysis}");
    }
}
