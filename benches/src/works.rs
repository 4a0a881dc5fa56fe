//! The works that contenders are measured at.

/// How the cookies of a work's requests come about.
pub enum Visitors {
    /// There are none.
    Strangers,
    /// One visitor, who was here.
    One(&'static str),
    /// So many visitors in turn.
    Many(usize),
}

/// What an app is asked for, and by whom.
pub struct Work {
    pub name: &'static str,
    pub path: &'static str,
    pub visitors: Visitors,
}

const fn work(name: &'static str, path: &'static str, visitors: Visitors) -> Work {
    Work {
        name,
        path,
        visitors,
    }
}

const LIVE: usize = 100_000;

/// What is measured in a process of its own.
pub const WORKS: [Work; 9] = [
    work("not used, no cookie", "/unused", Visitors::Strangers),
    work("not used, cookie sent", "/unused", Visitors::One("/new")),
    work("read one key", "/read", Visitors::One("/new")),
    work("increment", "/increment", Visitors::One("/new")),
    work("read one key of 50", "/read", Visitors::One("/fill")),
    work(
        "increment one key of 50",
        "/increment",
        Visitors::One("/fill"),
    ),
    work("new session", "/new", Visitors::Strangers),
    work("read among 100,000", "/read", Visitors::Many(LIVE)),
    work(
        "increment among 100,000",
        "/increment",
        Visitors::Many(LIVE),
    ),
];
