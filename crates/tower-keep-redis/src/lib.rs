//! Sessions of [tower-keep] in Redis (6.2 or later) or Valkey.
//!
//! ```no_run
//! # async fn f() -> Result<(), tower_keep_core::StoreError> {
//! use tower_keep::SessionLayer;
//! use tower_keep_redis::RedisStore;
//!
//! let store = RedisStore::connect("redis://127.0.0.1:6379/").await?;
//! let layer = SessionLayer::new(store);
//! # Ok(()) }
//! ```
//!
//! # What it promises
//!
//! Every process that uses the same server and prefix shares sessions and locks. Each step is one
//! script on one key, so it happens completely or not at all: opening (with the lock and the
//! touch) is one round trip, committing (with a rotation, a destruction, or handing on the lock)
//! is one, creating is one. (Where a session becomes a user's it is three: the index of their
//! sessions may be on another node.) A step that is asked again because its reply was lost is recognised by
//! its owner or commit and takes effect once. Time is the server's.
//!
//! Requests share one connection and send their commands one behind the other on it; none is
//! reserved while a handler runs or waits. From the first time that a session is contended between
//! processes a second connection listens for released locks, so that those who wait need not poll
//! for them; there are messages only while somebody waits.
//!
//! # What Redis cannot promise
//!
//! - *Durability* is the server's: with `appendfsync everysec` a crash of the machine loses a
//!   second of commits, without persistence all of them. Replication is asynchronous: a failover
//!   may lose the commits of the last moments, those of logouts too, unless replicas confirm them
//!   ([`wait_for_replicas`](RedisStoreBuilder::wait_for_replicas), which uses `WAIT`).
//! - *Eviction.* With a `maxmemory-policy` other than `noeviction` a full server logs visitors out
//!   and forgets logouts; connecting to one is logged as a warning. When it is full and may not
//!   evict, steps that write fail with [`StoreErrorKind::Full`](tower_keep_core::StoreErrorKind).
//! - *Clocks* that jump, as after a failover to a machine whose clock is wrong, move deadlines and
//!   leases by as much.
//! - *Expiry tells nobody.* Redis removes each key some time after its session's deadline
//!   ([`keep_expired`](RedisStoreBuilder::keep_expired)), so
//!   [`sweep`](tower_keep_core::SessionStore::sweep) has nothing to do, and does nothing.
//!
//! # What is stored
//!
//! One hash a session, `keep:{<id>}`: the head packed into one field, the user, the client and the
//! data in one each; and one sorted set for each user with sessions, `keep:user{<digest>}`, of
//! their ids. There is no cookie and no secret, only the secret's digest. The account of an
//! application with access control needs `EVALSHA`, `EVAL`, `TIME`, `HGET`, `HMGET`, `HSET`,
//! `HDEL`, `PEXPIREAT`, `ZADD`, `ZREM`, `ZSCORE`, `ZRANGE`, `ZREVRANGE`, `ZREMRANGEBYSCORE`,
//! `PUBLISH`, `SUBSCRIBE` and `PING`, on keys and channels with the prefix; under Sentinel also
//! `ROLE`, and the account on the sentinels `SENTINEL MASTERS` and `ROLE`. Who walks over the store,
//! counts what is in it or has it swept needs `SCAN` and `INFO`.
//!
//! # Features
//!
//! - `cluster`: Redis Cluster, by `RedisStoreBuilder::connect_cluster`. A session is in one slot.
//! - `sentinel`: Redis Sentinel, by `RedisStoreBuilder::connect_sentinel`. When its connection
//!   breaks, a step has no answer in time or is refused by what has become a replica, the store
//!   asks the sentinels for the primary, and goes there. It never goes back to an old one by
//!   itself.
//! - `tls`: `rediss://` URLs, by rustls with ring. The operating system's authorities are trusted
//!   unless `RedisStoreBuilder::tls_authorities` names others;
//!   `RedisStoreBuilder::tls_client_certificate` shows who is calling. If the application has not
//!   chosen rustls's `CryptoProvider` for the process, connecting chooses ring, as rustls itself
//!   would. Sentinel and Cluster take the same settings, and their use over TLS is not tested.
//!
//! [tower-keep]: https://docs.rs/tower-keep

#![cfg_attr(docsrs, feature(doc_cfg))]

mod builder;
mod confirmation;
mod connect;
mod error;
mod format;
mod gather;
mod inner;
mod link;
mod packed;
mod scan;
mod script;
#[cfg(feature = "sentinel")]
mod sentinel;
mod store;
#[cfg(feature = "tls")]
mod tls;
mod users;
mod wakeups;

pub use builder::RedisStoreBuilder;
pub use store::RedisStore;

/// Compiles the example of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
