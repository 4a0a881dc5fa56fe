//! Against requests that other sites make in the visitor's name.

mod form;
mod layer;
mod origin;
mod paths;
mod refusal;
mod rules;
mod service;
mod session;
mod token;

pub use layer::{CsrfConfigError, CsrfLayer, CsrfLayerBuilder};
pub use refusal::CsrfRefusal;
pub use service::{CsrfFuture, CsrfService};
