//! The statements, once for every engine.
//!
//! Each writing verb is one `UPDATE` whose condition is that the rules grant what is asked for,
//! and whose assignments are what they then change. Where it matches no row, the row is read and
//! the rules themselves ([`Record`](tower_keep_core::Record)'s methods) say why: refusals are
//! decided in one place only. In the text `{now}` is the store's time, `{least}` and
//! `{greatest}` are the engine's functions of two numbers.

use std::sync::Arc;

use crate::row::COLUMNS;
#[cfg(any(feature = "mysql", feature = "sqlite"))]
use crate::row::LEFT;
use crate::table::Table;

/// The text of one statement.
pub(crate) type Sql = Arc<str>;

/// An `UPDATE` in its parts.
pub(crate) struct Update {
    /// Assignments.
    pub(crate) set: &'static str,
    /// Beside `id = $1`.
    pub(crate) when: &'static str,
    /// What to read back, and where it matches nothing.
    pub(crate) reads: Reads,
}

/// Which columns a statement returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reads {
    /// All.
    Whole,
    /// All but the data.
    Head,
    /// [`Left`](crate::row::Left), if the statement matched.
    Left,
    /// None; whether it matched is all that counts.
    Nothing,
}

#[cfg(any(feature = "mysql", feature = "sqlite"))]
impl Reads {
    /// The list of columns.
    pub(crate) fn columns(self) -> String {
        match self {
            Self::Whole => COLUMNS.to_owned(),
            Self::Left => LEFT.to_owned(),
            Self::Head | Self::Nothing => COLUMNS.replace(", data", ", CAST(NULL AS TEXT) AS data"),
        }
    }
}

/// How an engine spells what the statements have in common.
pub(crate) trait Dialect {
    const LEAST: &'static str;
    const GREATEST: &'static str;
    /// An `UPDATE` that returns the columns it reads, if it matches.
    fn update(table: &Table, update: &Update) -> String;
    /// The same for one that gives up a lease, which tells those who wait where the engine can.
    fn releasing(table: &Table, update: &Update) -> String {
        Self::update(table, update)
    }
    /// An `INSERT` of a row if there is none, which returns the same.
    fn insert(table: &Table, columns: &str, values: &str) -> String;
    /// Reads the row `$1`.
    fn select(table: &Table, reads: Reads) -> String;
    /// Reads the rows that [`OWN`] or [`BEHIND`] names.
    fn list(table: &Table, reads: Reads, which: &str) -> String;
    /// Removes at most `$1` rows that are over, tombstones of at least `$2` milliseconds, and
    /// returns for each whether it was one.
    fn sweep(table: &Table) -> String;
    /// Returns [`counts`] in one row.
    fn count(table: &Table) -> String;
    /// Returns how many tables of this name there are.
    fn has_table(table: &Table) -> String;
}

/// Every statement of a store.
#[derive(Debug)]
pub(crate) struct Statements {
    /// The table's, without the schema.
    #[cfg(any(feature = "mysql", feature = "postgres"))]
    pub(crate) name: String,
    pub(crate) list: Sql,
    pub(crate) list_whole: Sql,
    pub(crate) walk: Sql,
    pub(crate) revoke: Sql,
    pub(crate) look: Sql,
    pub(crate) peek: Sql,
    pub(crate) lease: Sql,
    pub(crate) touch: Sql,
    pub(crate) release: Sql,
    pub(crate) put: Sql,
    pub(crate) save: Sql,
    pub(crate) merge: Sql,
    pub(crate) bury: Sql,
    pub(crate) renew: Sql,
    pub(crate) destroy: Sql,
    pub(crate) create: Sql,
    pub(crate) insert: Sql,
    pub(crate) replace: Sql,
    pub(crate) sweep: Sql,
    pub(crate) count: Sql,
    pub(crate) has_table: Sql,
    #[cfg(feature = "postgres")]
    pub(crate) mark: Sql,
}

impl Statements {
    pub(crate) fn new<D: Dialect>(table: &Table) -> Self {
        let spell = |sql: String| -> Sql {
            let sql = sql.replace("{least}", D::LEAST);
            sql.replace("{greatest}", D::GREATEST).into()
        };
        let update = |update: &Update| spell(D::update(table, update));
        let releasing = |update: &Update| spell(D::releasing(table, update));
        Self {
            #[cfg(any(feature = "mysql", feature = "postgres"))]
            name: table.name().to_owned(),
            list: spell(D::list(table, Reads::Head, OWN)),
            list_whole: spell(D::list(table, Reads::Whole, OWN)),
            walk: spell(D::list(table, Reads::Head, BEHIND)),
            revoke: releasing(&REVOKE),
            look: D::select(table, Reads::Whole).into(),
            peek: D::select(table, Reads::Head).into(),
            lease: update(&LEASE),
            touch: update(&TOUCH),
            release: releasing(&RELEASE),
            put: releasing(&PUT),
            save: releasing(&SAVE),
            merge: releasing(&MERGE),
            bury: releasing(&BURY),
            renew: update(&RENEW),
            destroy: releasing(&DESTROY),
            create: spell(D::insert(table, CREATE.0, CREATE.1)),
            insert: spell(D::insert(table, COLUMNS, WHOLE)),
            replace: update(&REPLACE),
            sweep: spell(D::sweep(table)),
            count: spell(D::count(table)),
            has_table: D::has_table(table).into(),
            #[cfg(feature = "postgres")]
            mark: update(&MARK),
        }
    }
}

/// What is over at `{now}`, tombstones once they are `$2` old. The first condition is for the
/// index.
pub(crate) const OVER: &str = "bucket <= {now} / 900000 AND CASE WHEN gone_at IS NULL \
     THEN {least}(idle_deadline, absolute_deadline) <= {now} ELSE gone_at + $2 <= {now} END";

/// How many rows are alive at `{now}`, how many of them are users', how many are over, and how many
/// are tombstones.
pub(crate) fn counts() -> String {
    let live = "gone_at IS NULL AND idle_deadline > {now} AND absolute_deadline > {now}";
    format!(
        "COUNT(CASE WHEN {live} THEN 1 END), \
         COUNT(CASE WHEN {live} AND user_id IS NOT NULL THEN 1 END), \
         COUNT(CASE WHEN gone_at IS NULL AND NOT ({live}) THEN 1 END), COUNT(gone_at)"
    )
}

/// What is alive at `{now}` and belongs to user `$1`, with ids below `$2`, at most `$3`.
const OWN: &str = "user_id = $1 AND id < $2 AND gone_at IS NULL \
     AND idle_deadline > {now} AND absolute_deadline > {now} ORDER BY id DESC LIMIT $3";

/// What is alive at `{now}` and has an id above `$1`, at most `$2`.
const BEHIND: &str = "id > $1 AND gone_at IS NULL \
     AND idle_deadline > {now} AND absolute_deadline > {now} ORDER BY id LIMIT $2";

/// `$2` secret or null, `$3` owner, `$4` lease, `$5` touch or null.
///
/// It also matches where another owner holds the lease, and then only marks that somebody waits:
/// the owner that it returns tells.
const LEASE: Update = Update {
    set: "revision = revision + 1, \
          waiting_until = CASE WHEN owner <> $3 AND lease_until > {now} THEN {now} + 2000 \
            WHEN owner = $3 THEN waiting_until END, \
          last_seen = CASE WHEN (owner IS NULL OR owner = $3 OR lease_until <= {now}) \
              AND {now} + idle_limit - idle_deadline >= $5 \
            THEN {greatest}(last_seen, {now}) ELSE last_seen END, \
          idle_deadline = CASE WHEN (owner IS NULL OR owner = $3 OR lease_until <= {now}) \
              AND {now} + idle_limit - idle_deadline >= $5 \
            THEN {now} + idle_limit ELSE idle_deadline END, \
          owner = CASE WHEN owner <> $3 AND lease_until > {now} THEN owner ELSE $3 END, \
          lease_until = CASE WHEN owner <> $3 AND lease_until > {now} THEN lease_until \
            ELSE {now} + $4 END",
    when: "gone_at IS NULL AND codec = 1 AND ($2 IS NULL OR secret = $2) \
           AND idle_deadline > {now} AND absolute_deadline > {now}",
    reads: Reads::Whole,
};

/// `$2` secret or null, `$3` touch.
const TOUCH: Update = Update {
    set: "revision = revision + 1, \
          last_seen = {greatest}(last_seen, {now}), \
          idle_deadline = {now} + idle_limit",
    when: "gone_at IS NULL AND codec = 1 AND ($2 IS NULL OR secret = $2) \
           AND idle_deadline > {now} AND absolute_deadline > {now} \
           AND {now} + idle_limit - idle_deadline >= $3",
    reads: Reads::Whole,
};

/// `$2` owner, `$3` commit, `$4` next owner or null, `$5` its lease.
const RELEASE: Update = Update {
    set: "revision = revision + 1, owner = $4, lease_until = {now} + $5",
    when: "gone_at IS NULL AND owner = $2 \
           AND ($3 IN (commit_1, commit_2, commit_3, commit_4)) IS NOT TRUE",
    reads: Reads::Left,
};

/// `$2` owner, `$3` commit, `$4` next owner or null, `$5` its lease, `$6` version, `$7` data, and
/// of the head: `$8` secret, `$9` whether the user changes, `$10` to whom, `$11` authenticated,
/// `$12` anchor, `$13` idle and `$14` absolute limit, `$15` extension, `$16` whether the client
/// changes, `$17` its address and `$18` name, `$19` which flags to keep, `$20` which to set.
const PUT: Update = Update {
    set: "revision = revision + 1, version = version + 1, \
          commit_4 = commit_3, commit_3 = commit_2, commit_2 = commit_1, commit_1 = $3, \
          owner = $4, lease_until = {now} + $5, \
          data = COALESCE($7, data), \
          rotated_at = CASE WHEN $8 IS NULL THEN rotated_at ELSE {now} END, \
          generation = CASE WHEN $8 IS NULL THEN generation ELSE generation + 1 END, \
          secret = COALESCE($8, secret), \
          user_id = CASE WHEN $9 THEN $10 ELSE user_id END, \
          authenticated_at = CASE WHEN $11 THEN {now} WHEN $9 THEN NULL \
            ELSE authenticated_at END, \
          idle_deadline = {greatest}(COALESCE({now} + $13, idle_deadline), \
            COALESCE({now} + $15, 0)), \
          absolute_deadline = CASE WHEN $12 THEN {now} + COALESCE($14, absolute_limit) \
            ELSE absolute_deadline END, \
          idle_limit = COALESCE($13, idle_limit), \
          absolute_limit = COALESCE($14, absolute_limit), \
          ip = CASE WHEN $16 THEN $17 ELSE ip END, \
          user_agent = CASE WHEN $16 THEN $18 ELSE user_agent END, \
          flags = (flags & $19) | $20",
    when: "gone_at IS NULL AND owner = $2 AND version = $6 \
           AND ($3 IN (commit_1, commit_2, commit_3, commit_4)) IS NOT TRUE \
           AND idle_deadline > {now} AND absolute_deadline > {now}",
    reads: Reads::Left,
};

/// As [`PUT`], of data alone, which most commits are: engines take far longer for the other columns.
const SAVE: Update = Update {
    set: "revision = revision + 1, version = version + 1, \
          commit_4 = commit_3, commit_3 = commit_2, commit_2 = commit_1, commit_1 = $3, \
          owner = $4, lease_until = {now} + $5, data = $7",
    when: PUT.when,
    reads: Reads::Left,
};

/// `$2` commit, `$3` version, `$4` data.
const MERGE: Update = Update {
    set: "revision = revision + 1, version = version + 1, \
          commit_4 = commit_3, commit_3 = commit_2, commit_2 = commit_1, commit_1 = $2, \
          owner = NULL, lease_until = NULL, data = $4",
    when: "gone_at IS NULL AND (owner IS NULL OR lease_until <= {now}) AND version = $3 \
           AND ($2 IN (commit_1, commit_2, commit_3, commit_4)) IS NOT TRUE \
           AND idle_deadline > {now} AND absolute_deadline > {now}",
    reads: Reads::Left,
};

/// `$2` owner, `$3` commit, `$4` version. A tombstone has no lease, so its column carries out
/// until when somebody waited, which could not be told from the row as it is afterwards.
const BURY: Update = Update {
    set: "revision = revision + 1, version = version + 1, \
          commit_4 = commit_3, commit_3 = commit_2, commit_2 = commit_1, commit_1 = $3, \
          owner = NULL, lease_until = waiting_until, waiting_until = NULL, \
          gone_at = {now}, secret = NULL, data = '{\"data\":{}}', codec = 1, user_id = NULL, \
          ip = NULL, user_agent = NULL, flags = flags & 1",
    when: "gone_at IS NULL AND owner = $2 AND version = $4 \
           AND ($3 IN (commit_1, commit_2, commit_3, commit_4)) IS NOT TRUE \
           AND idle_deadline > {now} AND absolute_deadline > {now}",
    reads: Reads::Left,
};

/// As in [`BURY`], the column of the lease carries out until when somebody waited.
const DESTROY: Update = Update {
    set: "revision = revision + 1, \
          owner = NULL, lease_until = waiting_until, waiting_until = NULL, \
          gone_at = {now}, secret = NULL, data = '{\"data\":{}}', codec = 1, user_id = NULL, \
          ip = NULL, user_agent = NULL, flags = flags & 1",
    when: "gone_at IS NULL AND idle_deadline > {now} AND absolute_deadline > {now}",
    reads: Reads::Nothing,
};

/// Marks that somebody waits, if there is a lease to wait for.
#[cfg(feature = "postgres")]
const MARK: Update = Update {
    set: "revision = revision + 1, waiting_until = {now} + 2000",
    when: "gone_at IS NULL AND owner IS NOT NULL AND lease_until > {now} \
           AND idle_deadline > {now} AND absolute_deadline > {now}",
    reads: Reads::Nothing,
};

/// `$2` owner, `$3` lease.
const RENEW: Update = Update {
    set: "revision = revision + 1, lease_until = {greatest}(lease_until, {now} + $3)",
    when: "gone_at IS NULL AND owner = $2",
    reads: Reads::Nothing,
};

/// [`DESTROY`] for user `$2` only.
pub(crate) const REVOKE: Update = Update {
    set: DESTROY.set,
    when: "user_id = $2 AND gone_at IS NULL \
           AND idle_deadline > {now} AND absolute_deadline > {now}",
    reads: Reads::Nothing,
};

/// `$2` secret, `$3` commit, `$4` idle and `$5` absolute limit, `$6` until the first idle
/// deadline, `$7` user, `$8` authenticated, `$9` address, `$10` user agent, `$11` flags, `$12`
/// data.
const CREATE: (&str, &str) = (
    "id, secret, commit_1, idle_limit, absolute_limit, idle_deadline, absolute_deadline, \
     user_id, authenticated_at, ip, user_agent, flags, data, created_at, last_seen, \
     version, generation, revision, codec",
    "$1, $2, $3, $4, $5, {now} + $6, {now} + $5, $7, CASE WHEN $8 THEN {now} END, $9, $10, \
     $11, $12, {now}, {now}, 1, 0, 1, 1",
);

/// A whole record, in the order of [`COLUMNS`].
const WHOLE: &str = "$1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, \
     $17, $18, $19, $20, $21, $22, $23, $24, $25, $26, $27";

/// A whole record, in the order of [`COLUMNS`]; `$5` is the revision it must have.
const REPLACE: Update = Update {
    set: "secret = $2, version = $3, generation = $4, revision = revision + 1, \
          commit_1 = $6, commit_2 = $7, commit_3 = $8, commit_4 = $9, owner = $10, \
          lease_until = $11, waiting_until = $12, created_at = $13, last_seen = $14, \
          authenticated_at = $15, rotated_at = $16, gone_at = $17, idle_limit = $18, \
          absolute_limit = $19, idle_deadline = $20, absolute_deadline = $21, user_id = $22, \
          ip = $23, user_agent = $24, flags = $25, codec = $26, data = $27",
    when: "revision = $5",
    reads: Reads::Nothing,
};
