//! What an old cookie becomes: the same token on every server.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::Mac;
use sha2::{Digest, Sha256};
use tower_keep_core::Token;
use zeroize::Zeroizing;

use super::{Import, OldCookie};

impl Import {
    /// The token of the session that the old one becomes.
    ///
    /// The id does not depend on the key: servers that were given different keys by mistake must
    /// not import twice. It is public, and says nothing of the old cookie, being a digest of it.
    pub(crate) fn token(&self, cookie: &OldCookie) -> Option<Token> {
        let digest = Sha256::new()
            .chain_update(b"tower-keep/import/id/v1")
            .chain_update(cookie.as_bytes())
            .finalize();
        let secret = self
            .key
            .signer(b"tower-keep/import/secret/v1")
            .chain_update(cookie.as_bytes())
            .finalize()
            .into_bytes();
        let mut token = Zeroizing::new([0; 48]);
        // A UUID of version 7 whose time is 1970: when the old one was created is not known, and
        // lists have the older ones last.
        token[6..16].copy_from_slice(&digest[..10]);
        token[6] = 0x70 | (token[6] & 0x0f);
        token[8] = 0x80 | (token[8] & 0x3f);
        token[16..].copy_from_slice(&secret);
        let text = Zeroizing::new(URL_SAFE_NO_PAD.encode(*token));
        Token::parse(text.as_bytes(), "").ok()
    }
}
