//! What was just done, told on the page that follows.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use tower_keep::{Error, Session};

use crate::agent::Agent;
use crate::texts::Texts;

/// The flash message. It says what happened and not in which words: the page that shows it may be
/// in another language.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Notice {
    One {
        browser: Option<Cow<'static, str>>,
        system: Option<Cow<'static, str>>,
    },
    Others(usize),
    /// Never stored: it is told at once.
    #[serde(skip)]
    NotFound,
}

/// Its key among the session's flash messages.
const KEY: &str = "tower_keep_devices";

impl Notice {
    pub(crate) fn one(agent: Agent) -> Self {
        Self::One {
            browser: agent.browser.map(Cow::Borrowed),
            system: agent.system.map(Cow::Borrowed),
        }
    }

    pub(crate) fn leave(&self, session: &Session) -> Result<(), Error> {
        session.flash(KEY, self)
    }

    /// What was left, by whatever version of this crate: what it does not understand is nothing.
    pub(crate) fn left(session: &Session) -> Option<Self> {
        session.get(KEY).ok().flatten()
    }

    pub(crate) const fn is_problem(&self) -> bool {
        matches!(self, Self::NotFound)
    }

    pub(crate) fn text(&self, texts: &dyn Texts) -> String {
        match self {
            Self::One { browser, system } => {
                texts.was_logged_out(&texts.device(browser.as_deref(), system.as_deref()))
            }
            Self::Others(count) => texts.others_were_logged_out(*count),
            Self::NotFound => texts.not_found().to_owned(),
        }
    }
}
