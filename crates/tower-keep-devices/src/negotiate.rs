//! Whether a client would rather have JSON than a page.

use http::HeaderMap;
use http::header::ACCEPT;

/// Whether `Accept` says so (RFC 9110, section 12.5.1). A page is the answer to whoever does not
/// mind, as browsers in their address bar and `curl` without an option.
pub(crate) fn wants_json(headers: &HeaderMap) -> bool {
    let lines = headers.get_all(ACCEPT).iter();
    let ranges: Vec<_> = lines
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(','))
        .filter_map(Range::parse)
        .collect();
    best(&ranges, "application", "json") > best(&ranges, "text", "html")
}

/// The weight of what says most exactly whether this type is wanted, and how exactly it does: of
/// two types of the same weight the one that is named by its own name is meant.
fn best(ranges: &[Range<'_>], kind: &str, subkind: &str) -> (u16, u8) {
    let exactness = |range: &Range<'_>| match (range.kind, range.subkind) {
        ("*", "*") => Some(1),
        (it, "*") if it.eq_ignore_ascii_case(kind) => Some(2),
        (it, sub) if it.eq_ignore_ascii_case(kind) && sub.eq_ignore_ascii_case(subkind) => Some(3),
        _ => None,
    };
    let fitting = ranges
        .iter()
        .filter_map(|range| Some((exactness(range)?, range.weight)));
    match fitting.max() {
        // A weight of nothing means: not this.
        None | Some((_, 0)) => (0, 0),
        Some((exactness, weight)) => (weight, exactness),
    }
}

struct Range<'a> {
    kind: &'a str,
    subkind: &'a str,
    /// In thousandths.
    weight: u16,
}

impl<'a> Range<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let mut parts = text.split(';').map(str::trim);
        let (kind, subkind) = parts.next()?.split_once('/')?;
        let weight = parts.find_map(|part| part.strip_prefix("q=").or(part.strip_prefix("Q=")));
        Some(Self {
            kind,
            subkind,
            weight: weight.map_or(1000, thousandths),
        })
    }
}

/// `0.25` as 250; what is no weight counts as none given.
fn thousandths(text: &str) -> u16 {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let digits: String = part.chars().chain("000".chars()).take(3).collect();
    match (whole, digits.parse::<u16>()) {
        ("0" | "", Ok(part)) => part,
        _ => 1000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_goes_to_those_who_ask_for_it() {
        for (accept, json) in [
            (None, false),
            (Some("*/*"), false),
            (
                Some("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"),
                false,
            ),
            (Some("application/json"), true),
            (Some("Application/JSON; charset=utf-8"), true),
            (Some("application/json, text/plain, */*"), true),
            (Some("application/json;q=0.9, text/html"), false),
            (Some("application/json, text/html;q=0.9"), true),
            (Some("application/*, text/html;q=0.5"), true),
            (Some("text/html, application/json"), false),
            (Some("application/json;q=0"), false),
            (Some("application/json;q=0.001"), true),
            (Some("text/css"), false),
            (Some("json"), false),
            (Some(""), false),
        ] {
            let mut headers = HeaderMap::new();
            if let Some(accept) = accept {
                headers.insert(ACCEPT, accept.parse().unwrap());
            }
            assert_eq!(wants_json(&headers), json, "{accept:?}");
        }
    }
}
