//! A session's data as the body of a record, in one of several codecs.

use super::blob::Data;
use super::error::DataError;
use crate::error::{StoreError, StoreErrorKind};

/// How a session's data are written by a store that keeps bytes.
///
/// Every body names its codec, so a store may hold bodies of several: changing the codec of a
/// store leaves what is in it readable, and each session is rewritten when its data next change.
/// A body whose codec this build does not have is
/// [`Unsupported`](crate::StoreErrorKind::Unsupported): answered with 503, and left alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Codec {
    /// As JSON, which people and other programs read. The default.
    #[default]
    Json,
    /// As [MessagePack](https://msgpack.org), which is shorter: what is JSON there is the same JSON
    /// when it is read, to the last digit of its numbers. With the feature `messagepack`, which
    /// every process on the store must have before one writes with it.
    #[cfg(feature = "messagepack")]
    MessagePack,
}

const JSON: u8 = 1;
#[cfg(feature = "messagepack")]
const MESSAGE_PACK: u8 = 2;

impl Codec {
    /// Every codec of this build, the default first.
    pub const ALL: &[Self] = &[
        Self::Json,
        #[cfg(feature = "messagepack")]
        Self::MessagePack,
    ];

    /// Its name in configurations: `json`, `messagepack`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            #[cfg(feature = "messagepack")]
            Self::MessagePack => "messagepack",
        }
    }
}

impl Data {
    /// The data as a body: the number of the codec, then the data in it. The size that counts is
    /// that of the JSON form, [`size`](Self::size), whatever the codec.
    ///
    /// ```
    /// use tower_keep_core::data::{Codec, Data};
    ///
    /// let data = Data::from_json(br#"{"data":{"views":3}}"#, 1024).unwrap();
    /// for codec in Codec::ALL {
    ///     let body = data.to_body(*codec);
    ///     assert_eq!(Data::from_body(&body, 1024).unwrap(), data);
    /// }
    /// ```
    pub fn to_body(&self, codec: Codec) -> Vec<u8> {
        match codec {
            Codec::Json => {
                let json = self.to_json();
                let mut body = Vec::with_capacity(1 + json.len());
                body.push(JSON);
                body.extend(json);
                body
            }
            #[cfg(feature = "messagepack")]
            Codec::MessagePack => {
                let mut body = vec![MESSAGE_PACK];
                super::messagepack::write(self, &mut body);
                body
            }
        }
    }

    /// Reads a body, whichever codec it names.
    ///
    /// # Errors
    ///
    /// [`StoreErrorKind::Unsupported`] if this build does not have its codec,
    /// [`StoreErrorKind::TooLarge`] if it is larger than `max` bytes as JSON, judged while it is
    /// decoded at the latest, [`StoreErrorKind::Corrupt`] if it is not what was written.
    pub fn from_body(body: &[u8], max: usize) -> Result<Self, StoreError> {
        match body.split_first() {
            Some((codec, body)) => Self::from_coded(*codec, body, max),
            None => Err(StoreError::new(
                StoreErrorKind::Corrupt,
                "its body is empty",
            )),
        }
    }

    /// Reads what is behind the number of its codec.
    pub(crate) fn from_coded(codec: u8, body: &[u8], max: usize) -> Result<Self, StoreError> {
        let data = match codec {
            JSON => Self::from_json(body, max),
            #[cfg(feature = "messagepack")]
            MESSAGE_PACK => super::messagepack::read(body, max),
            codec => {
                let what = format!("its data are of codec {codec}");
                return Err(StoreError::new(StoreErrorKind::Unsupported, what));
            }
        };
        data.map_err(|error| match error {
            DataError::TooLarge { .. } => StoreError::new(StoreErrorKind::TooLarge, error),
            error => StoreError::new(StoreErrorKind::Corrupt, error),
        })
    }
}
