//! The Lua scripts, and how their replies are read.

use std::vec::IntoIter;

use redis::{Cmd, Value};
use tower_keep_core::{StoreError, Timestamp};

use crate::error::unexpected;
use crate::format::Fields;

/// A script for one step on one session.
pub(crate) struct Script {
    code: String,
    sha: String,
    /// Whether running it twice does the same as once and gives the same answer.
    pub(crate) repeatable: bool,
}

impl Script {
    fn new(code: &str) -> Self {
        Self::alone(format!("{}\n{code}", include_str!("lua/common.lua")))
    }

    /// Without what the others have in common, which takes a while to set up.
    fn alone(code: String) -> Self {
        let sha = redis::Script::new(&code).get_hash().to_owned();
        Self {
            code,
            sha,
            repeatable: true,
        }
    }

    /// A script on a user's index.
    fn on_index(code: &str) -> Self {
        Self::new(&format!("{}\n{code}", include_str!("lua/index.lua")))
    }

    fn once(code: &str) -> Self {
        Self {
            repeatable: false,
            ..Self::new(code)
        }
    }

    /// Runs it by its digest, which the server knows if it has run the script before.
    pub(crate) fn by_digest(&self, key: &[u8]) -> Cmd {
        call("EVALSHA", &self.sha, key)
    }

    /// Runs it, and makes it known to the server.
    pub(crate) fn by_code(&self, key: &[u8]) -> Cmd {
        call("EVAL", &self.code, key)
    }
}

fn call(command: &str, script: &str, key: &[u8]) -> Cmd {
    // Enough for most, so that it does not grow.
    let mut cmd = Cmd::with_capacity(6, 512);
    cmd.arg(command).arg(script).arg(1).arg(key);
    cmd
}

/// All scripts of a store.
pub(crate) struct Scripts {
    pub(crate) look: Script,
    pub(crate) cas: Script,
    pub(crate) open: Script,
    pub(crate) finish: Script,
    pub(crate) renew: Script,
    pub(crate) create: Script,
    pub(crate) destroy: Script,
    pub(crate) listen: Script,
    pub(crate) sweep: Script,
    pub(crate) enter: Script,
    pub(crate) confirm: Script,
    pub(crate) forget: Script,
    pub(crate) entries: Script,
}

impl Scripts {
    pub(crate) fn new() -> Self {
        Self {
            look: Script::new(include_str!("lua/look.lua")),
            cas: Script::once(include_str!("lua/cas.lua")),
            open: Script::alone(include_str!("lua/open.lua").to_owned()),
            // What it says of a commit that it does not know depends on whether this is the first
            // try, which only the caller can tell: so it is the caller who tries again.
            finish: Script {
                repeatable: false,
                ..Script::alone(include_str!("lua/finish.lua").to_owned())
            },
            renew: Script::new(include_str!("lua/renew.lua")),
            create: Script::new(include_str!("lua/create.lua")),
            destroy: Script::once(include_str!("lua/destroy.lua")),
            listen: Script::new(include_str!("lua/listen.lua")),
            sweep: Script::once(include_str!("lua/sweep.lua")),
            enter: Script::on_index(include_str!("lua/enter.lua")),
            confirm: Script::on_index(include_str!("lua/confirm.lua")),
            forget: Script::on_index(include_str!("lua/forget.lua")),
            entries: Script::on_index(include_str!("lua/entries.lua")),
        }
    }
}

/// What a script replied: a word, and what belongs to it.
pub(crate) struct Reply {
    word: Vec<u8>,
    rest: IntoIter<Value>,
}

impl Reply {
    pub(crate) fn new(value: Value) -> Result<Self, StoreError> {
        let Value::Array(values) = value else {
            return Err(unexpected());
        };
        let mut rest = values.into_iter();
        match rest.next() {
            Some(Value::BulkString(word)) => Ok(Self { word, rest }),
            _ => Err(unexpected()),
        }
    }

    pub(crate) fn word(&self) -> &[u8] {
        &self.word
    }

    pub(crate) fn number(&mut self) -> Result<u64, StoreError> {
        number(&mut self.rest)
    }

    pub(crate) fn instant(&mut self) -> Result<Timestamp, StoreError> {
        self.number().map(Timestamp::from_millis)
    }

    /// The fields of a session, if there is one.
    pub(crate) fn fields(&mut self) -> Result<Option<Fields>, StoreError> {
        Fields::from_values(&mut self.rest)
    }

    /// Texts in a list of their own.
    pub(crate) fn list(&mut self) -> Result<Vec<Vec<u8>>, StoreError> {
        let Some(Value::Array(values)) = self.rest.next() else {
            return Err(unexpected());
        };
        let text = |value| match value {
            Value::BulkString(bytes) => Ok(bytes),
            _ => Err(unexpected()),
        };
        values.into_iter().map(text).collect()
    }

    /// For answers that are yes or no.
    pub(crate) fn yes(&self) -> Result<bool, StoreError> {
        match self.word() {
            b"yes" => Ok(true),
            b"no" => Ok(false),
            _ => Err(unexpected()),
        }
    }
}

/// The next of them, a number.
pub(crate) fn number(values: &mut IntoIter<Value>) -> Result<u64, StoreError> {
    match values.next() {
        Some(Value::Int(number)) => u64::try_from(number).map_err(|_| unexpected()),
        _ => Err(unexpected()),
    }
}
