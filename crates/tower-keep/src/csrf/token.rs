//! The secret that a session's forms carry, and the forms it goes out in.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ctutils::CtEq;
use tower_keep_core::{StoreError, StoreErrorKind};

use crate::error::Error;

const LEN: usize = 32;

/// 32 bytes from the operating system that only the session's own pages know.
///
/// There is no `PartialEq` and no `Debug`: it is compared in constant time and never shown.
#[derive(Clone, Copy)]
pub(super) struct CsrfToken([u8; LEN]);

impl CsrfToken {
    pub(super) fn generate() -> Result<Self, Error> {
        random().map(Self)
    }

    /// As it is stored.
    pub(super) fn encode(self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
    }

    /// As it was stored; damage counts as no token.
    pub(super) fn decode(stored: &str) -> Option<Self> {
        let mut bytes = [0; LEN];
        let length = URL_SAFE_NO_PAD.decode_slice(stored, &mut bytes).ok()?;
        (length == LEN).then_some(Self(bytes))
    }

    /// As a page carries it: under a new mask each time, so that a compressed page that repeats
    /// what was sent to it gives nothing away (BREACH).
    pub(super) fn masked(self) -> Result<String, Error> {
        let mask: [u8; LEN] = random()?;
        let mut bytes = [0; 2 * LEN];
        let (left, right) = bytes.split_at_mut(LEN);
        left.copy_from_slice(&mask);
        for (to, (mask, own)) in right.iter_mut().zip(mask.iter().zip(&self.0)) {
            *to = mask ^ own;
        }
        Ok(URL_SAFE_NO_PAD.encode(bytes))
    }

    /// Whether it is what `given` masks, in a time that does not depend on where they differ.
    pub(super) fn matches(&self, given: &str) -> bool {
        let mut bytes = [0; 2 * LEN];
        if !matches!(URL_SAFE_NO_PAD.decode_slice(given, &mut bytes), Ok(length) if length == 2 * LEN)
        {
            return false;
        }
        let (mask, masked) = bytes.split_at(LEN);
        let mut unmasked = [0; LEN];
        for (to, (mask, masked)) in unmasked.iter_mut().zip(mask.iter().zip(masked)) {
            *to = mask ^ masked;
        }
        self.0.ct_eq(&unmasked).into()
    }
}

fn random<const N: usize>() -> Result<[u8; N], Error> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)
        .map_err(|error| StoreError::new(StoreErrorKind::Unavailable, error.to_string()))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_differ_and_all_of_them_match() {
        let token = CsrfToken::generate().unwrap();
        let (one, two) = (token.masked().unwrap(), token.masked().unwrap());
        assert_ne!(one, two);
        assert!(token.matches(&one) && token.matches(&two));
        assert!(!CsrfToken::generate().unwrap().matches(&one));
        let stored = CsrfToken::decode(&token.encode()).unwrap();
        assert!(stored.matches(&one));
    }

    #[test]
    fn nothing_else_matches() {
        let token = CsrfToken::generate().unwrap();
        let good = token.masked().unwrap();
        // The token without a mask, too, is none.
        for given in ["", "a", &good[1..], &good[..85], &token.encode()] {
            assert!(!token.matches(given), "{given}");
        }
        assert!(!token.matches(&format!("{good}=")) && !token.matches(&format!("{good}A")));
        for at in 0..good.len() {
            let mut other = good.clone().into_bytes();
            other[at] = if other[at] == b'A' { b'B' } else { b'A' };
            assert!(!token.matches(std::str::from_utf8(&other).unwrap()));
        }
        for stored in ["", "AAAA", &good] {
            assert!(CsrfToken::decode(stored).is_none());
        }
    }
}
