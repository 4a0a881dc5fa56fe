//! What a visitor knows of the number in their session.

use std::fmt;

/// A number that only this visitor counts up, one at a time.
///
/// Additions whose answer never came may have happened, may happen yet, or never. So the number is
/// one of `least` to `least + perhaps`, and whatever is seen of it narrows that down.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Account {
    least: u64,
    perhaps: u64,
}

/// A number that cannot be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lost {
    /// What it can be, from and to.
    pub possible: (u64, u64),
    pub seen: u64,
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (least, most) = self.possible;
        write!(f, "counted {}, not {least} to {most}", self.seen)
    }
}

impl Account {
    /// Counted up so often surely, and so often perhaps.
    pub fn new(least: u64, perhaps: u64) -> Self {
        Self { least, perhaps }
    }

    /// One was added, and this is the number since.
    pub fn added(&mut self, count: u64) -> Result<(), Lost> {
        self.least += 1;
        self.read(count)
    }

    /// One was added, or will be, or not.
    pub fn may_have_added(&mut self) {
        self.perhaps += 1;
    }

    /// The number is this.
    pub fn read(&mut self, count: u64) -> Result<(), Lost> {
        let possible = (self.least, self.least + self.perhaps);
        if !(possible.0..=possible.1).contains(&count) {
            return Err(Lost {
                possible,
                seen: count,
            });
        }
        self.perhaps -= count - self.least;
        self.least = count;
        Ok(())
    }

    /// How often it was surely counted up.
    pub fn least(&self) -> u64 {
        self.least
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_acknowledged_must_be_there() {
        let mut account = Account::default();
        account.added(1).unwrap();
        account.added(2).unwrap();
        let lost = account.clone().read(1).unwrap_err();
        assert_eq!(lost.to_string(), "counted 1, not 2 to 2");
        assert!(account.clone().read(3).is_err(), "counted twice");
        assert!(account.added(2).is_err(), "two were told the same number");
        assert_eq!(account.least(), 3);
    }

    #[test]
    fn what_nobody_knows_may_be_there_once() {
        let mut account = Account::default();
        account.added(1).unwrap();
        account.may_have_added();
        account.may_have_added();
        account.clone().read(1).unwrap();
        account.clone().read(3).unwrap();
        assert!(account.clone().read(4).is_err());
        // One of them was seen, the other one may come later, and neither goes again.
        account.added(3).unwrap();
        assert!(account.clone().read(2).is_err());
        account.clone().added(5).unwrap();
        assert!(account.added(6).is_err());
    }
}
