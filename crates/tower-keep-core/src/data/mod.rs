//! A session's data: a JSON object, kept as text, and the changes that one request makes to it.
//!
//! [`Data`] is what a store loads and saves. [`Edit`] is what a request reads and changes; what
//! comes out of it is a [`Patch`], or nothing if nothing has changed.

mod blob;
mod body;
mod deadline;
mod decode;
mod edit;
mod error;
mod flash;
mod json;
mod merge;
#[cfg(feature = "messagepack")]
mod messagepack;
mod nested;
mod patch;
mod path;
mod raw;
mod read;
mod write;

pub use blob::Data;
pub use body::Codec;
pub use edit::{DataLimits, Edit};
pub use error::{DataError, KeyFault, Kind};
pub use merge::MergeLog;
pub use patch::Patch;
pub use path::{AsKey, Key, Keys, Literal};
