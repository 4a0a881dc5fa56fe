//! Which request does what.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state, map_response};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::request::Parts;
use http::{StatusCode, Uri};
use maud::html;
use serde::Serialize;
use tower_keep::{CsrfLayer, Error, Session, SessionId, StoredSession, UserPage};

use crate::answer::{self, Format, Refusal};
use crate::device::{self, Device};
use crate::devices::Config;
use crate::html::List;
use crate::notice::Notice;
use crate::page::{self, Page};
use crate::place::Place;
use crate::visit::Visit;

/// So many devices are on a page.
const PAGE: usize = 50;

/// Whoever is not logged in is told so before the check of the token, which would have nothing to
/// compare with.
pub(crate) fn router<S: Clone + Send + Sync + 'static>(
    config: Arc<Config>,
    csrf: CsrfLayer,
) -> Router<S> {
    Router::new()
        .route("/others", post(end_others).delete(end_others))
        .route("/{id}", post(end_one).delete(end_one))
        .layer(csrf)
        .layer(from_fn_with_state(config.clone(), only_users))
        .route("/", get(list))
        .layer(map_response(answer::careful))
        .route("/style.css", get(style))
        .with_state(config)
}

type Shared = State<Arc<Config>>;

async fn only_users(State(config): Shared, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    match may_change(&config, &mut parts).await {
        Ok(()) => next.run(Request::from_parts(parts, body)).await,
        Err(refusal) => refusal.answer(&config, &parts),
    }
}

async fn may_change(config: &Config, parts: &mut Parts) -> Result<(), Refusal> {
    let visit = config.open.write(parts).await?;
    match &config.fresh {
        Some((within, path))
            if named(parts) != Some(visit.id) && !visit.session.is_fresh(*within) =>
        {
            Err(Refusal::NotFresh(path.clone()))
        }
        _ => Ok(()),
    }
}

/// The session that the path names. Not by axum's `Path`, which counts the parameters of routers
/// around this one.
fn named(parts: &Parts) -> Option<SessionId> {
    parts.uri.path().trim_start_matches('/').parse().ok()
}

async fn list(State(config): Shared, request: Request) -> Response {
    let (mut parts, _) = request.into_parts();
    let answer = match Format::of(&parts.method, &parts.headers) {
        Format::Page => list_page(&config, &mut parts).await,
        Format::Json => list_json(&config, &mut parts).await,
    };
    answer.unwrap_or_else(|refusal| refusal.answer(&config, &parts))
}

/// Takes the session to write: the message of what was done is shown once, and the forms need a
/// token, which the first of them makes.
async fn list_page(config: &Config, parts: &mut Parts) -> Result<Response, Refusal> {
    let visit = config.open.write(parts).await?;
    let notice = Notice::left(&visit.session);
    show(config, parts, &visit, StatusCode::OK, notice).await
}

async fn show(
    config: &Config,
    parts: &Parts,
    visit: &Visit<Session>,
    status: StatusCode,
    notice: Option<Notice>,
) -> Result<Response, Refusal> {
    let (place, texts) = place_and_texts(config, parts);
    let (listed, next) = page_of(config, visit, &parts.uri).await?;
    let mut others: Vec<_> = listed.iter().map(Device::stored).collect();
    others.retain(|device| !device.current);
    // The store has them in the order in which they were created.
    others.sort_by_key(|device| std::cmp::Reverse(device.last_seen));
    let list = List {
        place: &place,
        texts: &*texts,
        token: &visit.session.csrf_token()?,
        notice,
        current: Device::current(&visit.session),
        others,
        next,
    };
    let content = list.content().into_string();
    let escaped = |text: &str| html! { (text) }.into_string();
    let page = Page {
        lang: &escaped(texts.lang()),
        dir: &escaped(texts.dir()),
        title: &escaped(texts.title()),
        stylesheet: &escaped(&place.below(page::style_name())),
        content: &content,
    };
    Ok(answer::page(status, config.document(&page, parts)))
}

async fn list_json(config: &Config, parts: &mut Parts) -> Result<Response, Refusal> {
    #[derive(Serialize)]
    struct Listed<D> {
        devices: Vec<D>,
        next: Option<String>,
    }
    let visit = config.open.read(parts).await?;
    let (listed, next) = page_of(config, &visit, &parts.uri).await?;
    let devices = listed.iter().map(|it| Device::stored(it).into_json());
    let listed = Listed {
        devices: devices.collect(),
        next: next.map(|id| id.to_string()),
    };
    Ok(answer::json(StatusCode::OK, &listed))
}

/// The page of the user's sessions that the query asks for, and before which one the next begins.
async fn page_of<S>(
    config: &Config,
    visit: &Visit<S>,
    uri: &Uri,
) -> Result<(Vec<StoredSession>, Option<SessionId>), Error> {
    let own = config
        .sessions
        .of(visit.user.clone())
        .current(Some(visit.id));
    let page = UserPage {
        before: before(uri),
        // One more tells whether the list goes on.
        limit: PAGE + 1,
        data: false,
    };
    let mut listed = own.list(page).await?;
    let more = listed.len() > PAGE;
    listed.truncate(PAGE);
    let next = listed.last().filter(|_| more).map(StoredSession::id);
    Ok((listed, next))
}

/// What is no id is not asked for.
fn before(uri: &Uri) -> Option<SessionId> {
    let mut fields = form_urlencoded::parse(uri.query()?.as_bytes());
    let (_, id) = fields.find(|(name, _)| name == "before")?;
    id.parse().ok()
}

async fn end_one(State(config): Shared, request: Request) -> Response {
    let (mut parts, _) = request.into_parts();
    let answer = end(&config, &mut parts).await;
    answer.unwrap_or_else(|refusal| refusal.answer(&config, &parts))
}

async fn end(config: &Config, parts: &mut Parts) -> Result<Response, Refusal> {
    let visit = config.open.write(parts).await?;
    let format = Format::of(&parts.method, &parts.headers);
    let id = named(parts);
    if id == Some(visit.id) {
        visit.session.destroy()?;
        return Ok(match format {
            Format::Page => answer::login(config),
            Format::Json => answer::ended(&[visit.id]),
        });
    }
    match (end_other(config, &visit, id).await, format) {
        (Ok((_, id)), Format::Json) => Ok(answer::ended(&[id])),
        (Ok((notice, _)), Format::Page) => {
            notice.leave(&visit.session)?;
            Ok(to_list(config, parts))
        }
        (Err(Error::NotFound), Format::Page) => {
            let notice = Some(Notice::NotFound);
            show(config, parts, &visit, StatusCode::NOT_FOUND, notice).await
        }
        (Err(error), _) => Err(error.into()),
    }
}

/// Ends another session of the same user. Whose a session is is decided by the store as it ends it;
/// it is looked at before only for the name of its device.
async fn end_other(
    config: &Config,
    visit: &Visit<Session>,
    id: Option<SessionId>,
) -> Result<(Notice, SessionId), Error> {
    let own = config.sessions.of(visit.user.clone());
    let found = config.sessions.get(id.ok_or(Error::NotFound)?).await?;
    let found = found.filter(|it| it.head().user.as_ref() == Some(&visit.user));
    let found = found.ok_or(Error::NotFound)?;
    own.destroy(found.id()).await?;
    let agent = device::agent(found.head().client.as_deref());
    Ok((Notice::one(agent), found.id()))
}

async fn end_others(State(config): Shared, request: Request) -> Response {
    let (mut parts, _) = request.into_parts();
    let answer = end_all_others(&config, &mut parts).await;
    answer.unwrap_or_else(|refusal| refusal.answer(&config, &parts))
}

async fn end_all_others(config: &Config, parts: &mut Parts) -> Result<Response, Refusal> {
    let visit = config.open.write(parts).await?;
    let own = config
        .sessions
        .of(visit.user.clone())
        .current(Some(visit.id));
    let ended = own.destroy_others().await?;
    Ok(match Format::of(&parts.method, &parts.headers) {
        Format::Json => answer::ended(&ended),
        Format::Page => {
            Notice::Others(ended.len()).leave(&visit.session)?;
            to_list(config, parts)
        }
    })
}

/// By GET, so that reloading does nothing again.
fn to_list(config: &Config, parts: &Parts) -> Response {
    let place = Place::of(parts, config.public_path.as_deref());
    Redirect::to(place.list()).into_response()
}

fn place_and_texts(config: &Config, parts: &Parts) -> (Place, Arc<dyn crate::Texts>) {
    let place = Place::of(parts, config.public_path.as_deref());
    (place, (config.texts)(parts))
}

/// Its name changes with its content.
async fn style() -> impl IntoResponse {
    let headers = [
        (CONTENT_TYPE, "text/css; charset=utf-8"),
        (CACHE_CONTROL, "public, max-age=31536000, immutable"),
    ];
    (headers, page::STYLE)
}
