//! `scan()`. A store without the ability passes: it promises nothing.

use std::collections::HashMap;

use tower_keep_core::data::Data;
use tower_keep_core::{
    Cursor, NewSession, Scan, SessionId, SessionStore, StoreErrorKind, Timestamp, View,
};

use super::context::{Context, Failure, LONG, Result, data, new_session};
use super::same;

/// The ability, or the end of the case.
macro_rules! scan {
    ($cx:expr) => {
        match $cx.store.scan() {
            Some(scan) => scan,
            None => return Ok(()),
        }
    };
}

/// A walk that goes on for longer has no end.
const PAGES: usize = 100_000;
/// So small that a walk has pages.
const LIMIT: usize = 3;

/// A walk, page by page.
struct Walk<'a> {
    scan: &'a dyn Scan,
    next: Option<Cursor>,
    pages: usize,
    /// How often each session was shown.
    seen: HashMap<SessionId, usize>,
}

impl<'a> Walk<'a> {
    fn new(scan: &'a dyn Scan) -> Self {
        Self {
            scan,
            next: None,
            pages: 0,
            seen: HashMap::new(),
        }
    }

    /// The sessions of the next page, if there is one.
    async fn page(&mut self) -> Result<Option<Vec<View>>> {
        if self.pages > 0 && self.next.is_none() {
            return Ok(None);
        }
        self.pages += 1;
        ensure!(self.pages <= PAGES, "the walk has no end");
        let page = self.scan.page(self.next.as_ref(), LIMIT).await?;
        ensure!(
            page.unreadable.is_empty(),
            "{} records cannot be read",
            page.unreadable.len()
        );
        for view in &page.views {
            *self.seen.entry(view.head.id).or_default() += 1;
        }
        self.next = page.next;
        Ok(Some(page.views))
    }

    /// Goes on to the end.
    async fn end(mut self) -> Result<HashMap<SessionId, usize>> {
        while self.page().await?.is_some() {}
        Ok(self.seen)
    }
}

/// Fails unless each of these was shown, and as often as the store says.
fn shown(scan: &dyn Scan, seen: &HashMap<SessionId, usize>, ids: &[SessionId]) -> Result {
    for id in ids {
        match seen.get(id) {
            None => {
                return Err(Failure::new(
                    "a session that was there all the time is missing",
                ));
            }
            Some(1) => {}
            Some(times) if scan.may_repeat() => {
                ensure!(*times < 1_000, "a session is shown {times} times");
            }
            Some(times) => {
                return Err(Failure::new(format!("a session is shown {times} times")));
            }
        }
    }
    Ok(())
}

/// So many sessions, the ids of which are in this order and behind those of a lower `rank`.
async fn several(cx: &Context, rank: u64, count: u64) -> Result<Vec<SessionId>> {
    let mut ids = Vec::new();
    for number in 0..count {
        let at = 1_700_000_000_000 + 1_000 * rank + number;
        let new = NewSession {
            id: SessionId::new(Timestamp::from_millis(at)),
            user: (number % 2 == 0).then(|| "ada".into()),
            data: data(number),
            ..new_session()
        };
        cx.create(&new).await?;
        ids.push(new.id);
    }
    Ok(ids)
}

pub(super) async fn shows_every_live_session(cx: &Context) -> Result {
    let scan = scan!(cx);
    let none = Walk::new(scan).end().await?;
    ensure!(
        none.is_empty(),
        "an empty store shows {} sessions",
        none.len()
    );
    let ids = several(cx, 0, 10).await?;
    let seen = Walk::new(scan).end().await?;
    shown(scan, &seen, &ids)?;
    ensure!(seen.len() == ids.len(), "{} of 10 are shown", seen.len());
    Ok(())
}

pub(super) async fn shows_no_others(cx: &Context) -> Result {
    let scan = scan!(cx);
    let alive = [cx.session().await?.id];
    for _ in 0..5 {
        let gone = cx.session().await?;
        cx.store.destroy(gone.id).await?;
    }
    let mut over = new_session();
    over.limits.absolute = cx.unit();
    cx.create(&over).await?;
    let over = cx.idle_session(cx.unit()).await?;
    cx.reach(cx.record(over.id).await?.0.head.deadline())
        .await?;
    let seen = Walk::new(scan).end().await?;
    shown(scan, &seen, &alive)?;
    ensure!(
        seen.len() == 1,
        "{} sessions are shown where 1 is alive",
        seen.len()
    );
    Ok(())
}

pub(super) async fn shows_what_is_stored(cx: &Context) -> Result {
    let scan = scan!(cx);
    several(cx, 0, 2).await?;
    let held = cx.session().await?;
    cx.lock(&held, LONG).await?;
    let mut walk = Walk::new(scan);
    while let Some(views) = walk.page().await? {
        for View { head, data, now } in views {
            let (record, _) = cx.record(head.id).await?;
            same::heads(&record.head, &head)
                .map_err(|seen| Failure::new(format!("the walk shows another {seen}")))?;
            ensure!(data == Data::default(), "the walk shows data");
            ensure!(now >= head.created_at, "the walk is at {now:?}");
            ensure!(!head.is_expired(now), "the walk shows what is over");
        }
    }
    shown(scan, &walk.seen, &[held.id])
}

pub(super) async fn keeps_to_the_limit(cx: &Context) -> Result {
    let scan = scan!(cx);
    several(cx, 0, 10).await?;
    let mut walk = Walk::new(scan);
    while let Some(views) = walk.page().await? {
        // Such an engine does not count so exactly.
        ensure!(
            views.len() <= LIMIT || scan.may_repeat(),
            "a page of {} sessions, and {LIMIT} were asked for",
            views.len()
        );
    }
    ensure!(walk.pages > 3 || scan.may_repeat(), "{} pages", walk.pages);
    Ok(())
}

pub(super) async fn is_complete_while_others_come_and_go(cx: &Context) -> Result {
    let scan = scan!(cx);
    let mut leaving = several(cx, 0, 12).await?;
    let staying = several(cx, 1, 6).await?;
    let mut walk = Walk::new(scan);
    while let Some(views) = walk.page().await? {
        for id in leaving.drain(..leaving.len().min(3)) {
            cx.store.destroy(id).await?;
        }
        if walk.pages <= 6 {
            several(cx, 2, 2).await?;
        }
        // What was shown and what was not yet are written to.
        for view in views.iter().filter(|view| staying.contains(&view.head.id)) {
            let by_id = NewSession {
                id: view.head.id,
                ..new_session()
            };
            let held = cx.lock_by_id(&by_id, LONG).await?;
            cx.done(&held.put(7)).await?;
        }
    }
    shown(scan, &walk.seen, &staying)
}

pub(super) async fn goes_on_from_a_cursor(cx: &Context) -> Result {
    let scan = scan!(cx);
    several(cx, 0, 10).await?;
    let first = scan.page(None, LIMIT).await?;
    if scan.may_repeat() {
        return Ok(());
    }
    let ids = |views: &[View]| views.iter().map(|view| view.head.id).collect::<Vec<_>>();
    let mut pages = Vec::new();
    for _ in 0..2 {
        let next = first.next.as_ref().map(|next| Cursor::new(next.as_bytes()));
        let page = scan.page(next.as_ref(), LIMIT).await?;
        pages.push(ids(&page.views));
    }
    ensure!(
        pages[0] == pages[1] && pages[0] != ids(&first.views),
        "a cursor that is used twice leads elsewhere"
    );
    Ok(())
}

pub(super) async fn refuses_a_foreign_cursor(cx: &Context) -> Result {
    let scan = scan!(cx);
    let foreign = Cursor::new(b"elsewhere".as_slice());
    match scan.page(Some(&foreign), LIMIT).await {
        Err(error) if error.kind() == StoreErrorKind::Unsupported => Ok(()),
        Err(error) => Err(Failure::new(format!("the error is: {error}"))),
        Ok(_) => Err(Failure::new("it goes on from another store's cursor")),
    }
}
