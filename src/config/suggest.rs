//! "Did you mean": the nearest of the words that would have been accepted.
//!
//! Only asked on the way of a problem. Keys of the design that this version does not have yet are told apart
//! from typing errors, so that nobody searches for the right spelling of what is not there.

/// Names that a message lists before it says "…".
const LISTED_MAX: usize = 12;

/// Section and key of what is planned.
const PLANNED: &[(&str, &str)] = &[("store", "etcd")];

/// What to say about an unknown key of a section that knows `known`.
pub(super) fn for_key(section: &str, key: &str, known: &[&'static str]) -> Option<String> {
    if PLANNED.contains(&(section, key)) {
        return Some(format!("`{key}` is not in this version yet: take it out"));
    }
    match nearest(key, known.iter().copied()) {
        Some(near) => Some(format!("did you mean `{near}`?")),
        None => Some(format!("accepted here: {}", known.join(", "))),
    }
}

/// What to say about a name that does not exist among `names`.
pub(super) fn for_name<'a>(name: &str, names: impl Iterator<Item = &'a str> + Clone) -> Option<String> {
    if let Some(near) = nearest(name, names.clone()) {
        return Some(format!("did you mean `{near}`?"));
    }
    let mut names: Vec<_> = names.take(LISTED_MAX + 1).map(|name| format!("\"{name}\"")).collect();
    if names.is_empty() {
        return None;
    }
    names.sort();
    if names.len() > LISTED_MAX {
        names[LISTED_MAX] = "…".to_owned();
    }
    Some(format!("there are {}", names.join(", ")))
}

/// The nearest word that a slip of a few letters could have meant.
pub(super) fn nearest<'a>(word: &str, words: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let typed = word.to_lowercase();
    let slips_max = typed.chars().count().div_ceil(3).min(4);
    let near = |candidate: &'a str| {
        if candidate.len().abs_diff(typed.len()) > slips_max {
            return None;
        }
        let slips = strsim::osa_distance(&typed, &candidate.to_lowercase());
        (slips <= slips_max && slips < candidate.chars().count()).then_some((slips, candidate))
    };
    words.filter_map(near).min().map(|(_, candidate)| candidate)
}
