//! The pages, as HTML. `maud` escapes whatever is put into them.

mod at_once;
mod cart;
mod chat;
mod devices;
mod error;
mod held;
mod layout;
mod login;
mod window;

pub(crate) use at_once::at_once;
pub(crate) use cart::cart;
pub(crate) use chat::chat;
pub(crate) use devices::devices;
pub(crate) use error::error;
pub(crate) use held::held;
pub(crate) use login::{LONGEST_NAME, login};
pub(crate) use window::window;
