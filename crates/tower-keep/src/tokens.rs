//! A token as the text that a client carries: its visible prefix, and its signature.
//!
//! # Signatures
//! With keys, 24 characters of base64url follow the token: the first 18 bytes of HMAC-SHA256 over a
//! fixed domain, the carrier's name, and all that stands before. 144 bits are out of reach for who
//! must ask the server about each guess, and are 24 characters without a bit to spare, so that there
//! is one spelling of each (NIST SP 800-107 asks for 32 bits at least, RFC 2104 for half the
//! digest, which is 128). What protects a session is its secret; a signature tells forgeries from
//! tokens without asking the store.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::Mac;
use tower_keep_core::Token;

use crate::keys::{HmacSha256, KeyRing, SecretKey};
use crate::transport::Carrier;

const TAG: usize = 18;
const TAG_CHARS: usize = 24;

/// How tokens are written and read.
pub(crate) struct TokenFormat {
    prefix: String,
    signers: Option<Signers>,
}

struct Signers {
    /// They have been given the domain and the carrier already. The first one signs.
    first: HmacSha256,
    others: Vec<HmacSha256>,
    accept_unsigned: bool,
}

impl TokenFormat {
    pub(crate) const fn unsigned(prefix: String) -> Self {
        Self {
            prefix,
            signers: None,
        }
    }

    /// With signatures that mean nothing on another carrier: a token that was given out in one
    /// cookie is none in another one.
    pub(crate) fn signed(
        prefix: String,
        keys: &KeyRing,
        accept_unsigned: bool,
        carrier: &Carrier,
    ) -> Self {
        let (kind, name) = carrier.name();
        let signer = |key: &SecretKey| {
            let mut mac = key.signer(b"tower-keep/token/v1");
            // Names have no zero bytes, so none runs into what follows.
            for part in [kind, "\0", name, "\0"] {
                mac.update(part.as_bytes());
            }
            mac
        };
        Self {
            prefix,
            signers: Some(Signers {
                first: signer(keys.first()),
                others: keys.others().iter().map(signer).collect(),
                accept_unsigned,
            }),
        }
    }

    /// The text. This is the secret: it belongs to the client and nowhere else.
    pub(crate) fn encode(&self, token: &Token) -> String {
        let mut text = token.encode(&self.prefix);
        if let Some(signers) = &self.signers {
            let tag = signers.first.clone().chain_update(&text).finalize();
            URL_SAFE_NO_PAD.encode_string(&tag.into_bytes()[..TAG], &mut text);
        }
        text
    }

    /// Reads what [`encode`](Self::encode) wrote; nothing else is a token.
    pub(crate) fn parse(&self, text: &[u8]) -> Option<Token> {
        let signed = match &self.signers {
            None => text,
            Some(signers) => signers.verified(text)?,
        };
        Token::parse(signed, &self.prefix).ok()
    }
}

impl Signers {
    /// What the signature was made for. A token without one is itself, where that is accepted: it is
    /// too short to be told apart by anything but that its end is no signature.
    fn verified<'t>(&self, text: &'t [u8]) -> Option<&'t [u8]> {
        let unsigned = self.accept_unsigned.then_some(text);
        let Some((signed, end)) = text.split_last_chunk::<TAG_CHARS>() else {
            return unsigned;
        };
        let mut tag = [0; TAG];
        if URL_SAFE_NO_PAD.decode_slice(end, &mut tag).is_err() {
            return unsigned;
        }
        let mut signers = std::iter::once(&self.first).chain(&self.others);
        let fits = |signer: &HmacSha256| {
            let mac = signer.clone().chain_update(signed);
            mac.verify_truncated_left(&tag).is_ok()
        };
        if signers.any(fits) {
            Some(signed)
        } else {
            unsigned
        }
    }
}
