//! actix-session, set up as its documentation shows, and no sessions at all on actix-web.

use actix_session::storage::RedisSessionStore;
use actix_session::{Session, SessionMiddleware};
use actix_web::cookie::Key;
use actix_web::web::{self, ServiceConfig};
use actix_web::{App, Error, HttpServer};

#[actix_web::main]
async fn main() -> std::io::Result<()> {
    let (store, url) = bench_serve::asked();
    let address = ("127.0.0.1", 0);
    let server = match store.as_str() {
        "bare" => {
            let server = HttpServer::new(|| App::new().configure(bare))
                .workers(1)
                .bind(address)?;
            bench_serve::announce(server.addrs()[0]);
            server.run()
        }
        "redis" => {
            let key = Key::generate();
            let store = RedisSessionStore::new(url).await.expect("Redis");
            let app = move || {
                App::new()
                    .wrap(SessionMiddleware::new(store.clone(), key.clone()))
                    .configure(sessions)
            };
            let server = HttpServer::new(app).workers(1).bind(address)?;
            bench_serve::announce(server.addrs()[0]);
            server.run()
        }
        _ => bench_serve::unknown(&store),
    };
    server.await
}

fn bare(config: &mut ServiceConfig) {
    config
        .route("/unused", web::get().to(async || "nothing"))
        .route("/new", web::get().to(async || ""))
        .route("/read", web::get().to(async || 1_u64.to_string()))
        .route("/increment", web::get().to(async || 1_u64.to_string()));
}

fn sessions(config: &mut ServiceConfig) {
    config
        .route("/unused", web::get().to(async || "nothing"))
        .route("/new", web::get().to(new))
        .route("/read", web::get().to(read))
        .route("/increment", web::get().to(increment));
}

async fn new(session: Session) -> Result<&'static str, Error> {
    session.insert("n", 0_u64)?;
    Ok("")
}

async fn read(session: Session) -> Result<String, Error> {
    let n: u64 = session.get("n")?.unwrap_or_default();
    Ok(n.to_string())
}

async fn increment(session: Session) -> Result<String, Error> {
    let n: u64 = session.get("n")?.unwrap_or_default();
    session.insert("n", n + 1)?;
    Ok((n + 1).to_string())
}
