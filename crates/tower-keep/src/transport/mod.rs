//! How tokens travel: in a cookie, or in header fields for clients that keep them themselves.

mod carrier;
mod header;

pub(crate) use carrier::Carrier;

/// How a session's token gets to the client and back, for
/// [`SessionLayerBuilder::transport`](crate::SessionLayerBuilder::transport).
///
/// Whatever carries it, the guarantees are the same: a token goes out exactly when the cookie would,
/// after the commit it stands for, with `Cache-Control: no-store`, and never into a log.
///
/// Apps and programs that keep the token themselves take a header field; browsers take the cookie,
/// which scripts cannot read. A layer has one transport. For clients of both kinds put two layers
/// with [keys](crate::SessionLayerBuilder::key) over their routes.
///
/// ```
/// use tower_keep::{MemoryStore, SessionLayer, Transport};
///
/// let api = SessionLayer::builder(MemoryStore::new())
///     .transport(Transport::bearer())
///     .build()?;
/// # Ok::<(), tower_keep::LayerConfigError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Transport {
    /// The cookie of [`SessionLayerBuilder::cookie`](crate::SessionLayerBuilder::cookie). The
    /// default.
    #[default]
    Cookie,
    /// A header field.
    Header(HeaderTransport),
}

impl Transport {
    /// The request field `name` with the token as its value, such as `x-auth-token`. New tokens come
    /// back in a field of the same name.
    pub fn header(name: impl Into<String>) -> HeaderTransport {
        let request = name.into();
        HeaderTransport {
            response: request.clone(),
            request,
            bearer: false,
        }
    }

    /// `Authorization: Bearer <token>` (RFC 6750, section 2.1). New tokens come back in the field
    /// `x-session-token`.
    pub fn bearer() -> HeaderTransport {
        HeaderTransport {
            request: "authorization".to_owned(),
            response: "x-session-token".to_owned(),
            bearer: true,
        }
    }
}

/// A token in header fields.
///
/// What the client has to do:
///
/// - send the token it has, if it has one, with each request;
/// - keep the value of the response field, whenever there is one, in the place of the token it had;
/// - forget the token when that value is empty: the session was ended.
///
/// When a session ends by itself is not told beforehand: a request with its token then finds none.
/// Of the [cookie's options](crate::cookie::CookieConfig) only
/// [`policy`](crate::cookie::CookieConfig::policy) means something here; others are an error when the
/// layer is built.
///
/// A request with several values, in several fields or separated by commas, is treated as one with
/// several cookies of one name: at most four are looked at, and two live sessions are none.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct HeaderTransport {
    request: String,
    response: String,
    bearer: bool,
}

impl HeaderTransport {
    /// The response field in which new tokens come back.
    pub fn response_header(mut self, name: impl Into<String>) -> Self {
        self.response = name.into();
        self
    }
}

impl From<HeaderTransport> for Transport {
    fn from(header: HeaderTransport) -> Self {
        Self::Header(header)
    }
}

/// Why a transport cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TransportError {
    /// It is not the name of a header field.
    #[error(
        "{name:?} is no name of a header field: use letters, digits and hyphens, as in \
         \"x-auth-token\""
    )]
    InvalidHeader {
        /// As it was given.
        name: String,
    },
    /// The field means something else.
    #[error(
        "the header field {name:?} has a meaning of its own: use another one, as \"x-auth-token\"; \
         for `Authorization` use Transport::bearer()"
    )]
    ReservedHeader {
        /// As it was given.
        name: String,
    },
    /// There is a cookie to be configured, and none to be sent.
    #[error(
        "the cookie has options, and no cookie is sent with this transport: leave them out, all but \
         the policy"
    )]
    CookieOptions,
}
