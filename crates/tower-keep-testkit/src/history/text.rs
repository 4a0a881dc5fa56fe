//! Histories as text, a line an event, for processes that write down what they do.

use std::fmt;
use std::str::FromStr;

use super::{Action, Call, Effect, Event, Outcome, State};

/// A line that is no event, as the last one of a process that was killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unreadable;

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a line of a history")
    }
}

impl std::error::Error for Unreadable {}

/// A number that may be missing.
struct Maybe(Option<u64>);

impl fmt::Display for Maybe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(number) => number.fmt(f),
            None => f.write_str("-"),
        }
    }
}

impl FromStr for Maybe {
    type Err = Unreadable;

    fn from_str(text: &str) -> Result<Self, Unreadable> {
        if text == "-" {
            return Ok(Self(None));
        }
        Ok(Self(Some(read(text)?)))
    }
}

fn read<T: FromStr>(text: &str) -> Result<T, Unreadable> {
    text.parse().map_err(|_| Unreadable)
}

/// One line, with a full stop at its end by which one that was cut off is told.
impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Called(at, call) => {
                let secret = Maybe(call.secret);
                let Call { id, session, .. } = call;
                write!(f, "call {at} {id} {session} {secret} {} .", call.action)
            }
            Self::Returned(at, id, outcome) => write!(f, "return {at} {id} {outcome} ."),
        }
    }
}

impl FromStr for Event {
    type Err = Unreadable;

    fn from_str(line: &str) -> Result<Self, Unreadable> {
        let words: Vec<_> = line.split(' ').collect();
        match *words {
            ["call", at, id, session, secret, action, "."] => {
                let call = Call {
                    id: read(id)?,
                    session: read(session)?,
                    secret: read::<Maybe>(secret)?.0,
                    action: action.parse()?,
                };
                Ok(Self::Called(read(at)?, call))
            }
            ["return", at, id, outcome, "."] => {
                Ok(Self::Returned(read(at)?, read(id)?, outcome.parse()?))
            }
            _ => Err(Unreadable),
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read => f.write_str("read"),
            Self::End => f.write_str("end"),
            Self::Write { effect, blind } => {
                let Effect {
                    add,
                    note,
                    user,
                    secret,
                } = *effect;
                let bits = [note, user, secret, *blind].map(u8::from);
                write!(
                    f,
                    "write,{add},{},{},{},{}",
                    bits[0], bits[1], bits[2], bits[3]
                )
            }
        }
    }
}

impl FromStr for Action {
    type Err = Unreadable;

    fn from_str(text: &str) -> Result<Self, Unreadable> {
        let bit = |text: &str| Ok(read::<u8>(text)? == 1);
        let parts: Vec<_> = text.split(',').collect();
        match *parts {
            ["read"] => Ok(Self::Read),
            ["end"] => Ok(Self::End),
            ["write", add, note, user, secret, blind] => {
                let effect = Effect {
                    add: read(add)?,
                    note: bit(note)?,
                    user: bit(user)?,
                    secret: bit(secret)?,
                };
                let blind = bit(blind)?;
                Ok(Self::Write { effect, blind })
            }
            _ => Err(Unreadable),
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent => f.write_str("absent"),
            Self::Refused => f.write_str("refused"),
            Self::Unknown => f.write_str("unknown"),
            Self::Done { saw, secret } => {
                write!(f, "done;{}", Maybe(*secret))?;
                saw.as_ref().map_or(Ok(()), |saw| write!(f, ";{saw}"))
            }
        }
    }
}

impl FromStr for Outcome {
    type Err = Unreadable;

    fn from_str(text: &str) -> Result<Self, Unreadable> {
        match text {
            "absent" => return Ok(Self::Absent),
            "refused" => return Ok(Self::Refused),
            "unknown" => return Ok(Self::Unknown),
            _ => {}
        }
        let done = text.strip_prefix("done;").ok_or(Unreadable)?;
        let (secret, saw) = match done.split_once(';') {
            Some((secret, saw)) => (secret, Some(saw.parse()?)),
            None => (done, None),
        };
        let secret = read::<Maybe>(secret)?.0;
        Ok(Self::Done { saw, secret })
    }
}

/// Count, note, user and list, without blanks.
impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (note, user) = (Maybe(self.note), Maybe(self.user));
        write!(f, "{};{note};{user};", self.count)?;
        for (at, number) in self.list.iter().enumerate() {
            let comma = if at == 0 { "" } else { "," };
            write!(f, "{comma}{number}")?;
        }
        Ok(())
    }
}

impl FromStr for State {
    type Err = Unreadable;

    fn from_str(text: &str) -> Result<Self, Unreadable> {
        let parts: Vec<_> = text.split(';').collect();
        let [count, note, user, list] = *parts else {
            return Err(Unreadable);
        };
        let numbers = list.split(',').filter(|number| !number.is_empty());
        Ok(Self {
            list: numbers.map(read).collect::<Result<_, _>>()?,
            count: read(count)?,
            note: read::<Maybe>(note)?.0,
            user: read::<Maybe>(user)?.0,
        })
    }
}
