//! The tokens that a request carries.

use http::HeaderMap;
use smallvec::SmallVec;
use tower_keep_core::Token;

use crate::fingerprint::Print;
use crate::request::RequestHead;
use crate::shared::Shared;

/// The well-formed tokens among a request's cookies.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tokens {
    pub(super) parsed: SmallVec<[Token; 1]>,
    /// Whether there was any cookie of the name.
    pub(super) any: bool,
    /// What the client looks like who sent them, for a handle that opens them later.
    pub(super) print: Option<Box<Print>>,
}

impl Tokens {
    /// The one that was given.
    pub(crate) fn one(shared: &Shared, token: &str) -> Self {
        let parsed = shared.tokens.parse(token.as_bytes());
        Self {
            parsed: parsed.into_iter().collect(),
            any: true,
            print: None,
        }
    }

    pub(super) fn parse(shared: &Shared, headers: &HeaderMap) -> Self {
        let candidates = shared.carrier.candidates(headers);
        let mut parsed = SmallVec::<[Token; 1]>::new();
        for token in candidates.iter().filter_map(|v| shared.tokens.parse(v)) {
            // One token may be there under the signatures of two keys.
            if !parsed.iter().any(|other| is_same(other, &token)) {
                parsed.push(token);
            }
        }
        Self {
            parsed,
            any: !candidates.is_empty(),
            print: None,
        }
    }

    /// Those of a request that is over when they are opened.
    pub(crate) fn of_request(shared: &Shared, head: &RequestHead<'_>) -> Self {
        Self {
            print: shared.print(head),
            ..Self::parse(shared, head.headers)
        }
    }
}

fn is_same(one: &Token, other: &Token) -> bool {
    one.id() == other.id() && one.secret().hash().matches(&other.secret().hash())
}
