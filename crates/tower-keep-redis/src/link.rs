//! The connections, of every kind.

use redis::aio::{ConnectionLike, ConnectionManager};
use redis::{Cmd, Pipeline, RedisError, RedisResult, Value};
use tokio::time::Instant;

#[cfg(feature = "sentinel")]
use crate::sentinel::Primary;

/// A connection that many callers share and that reconnects by itself. Replies come in the order
/// of the commands, so a caller that goes away leaves nothing behind but a reply nobody reads.
pub(crate) enum Link {
    Single(ConnectionManager),
    #[cfg(feature = "sentinel")]
    Sentinel(Primary),
    #[cfg(feature = "cluster")]
    Cluster(redis::cluster_async::ClusterConnection),
}

impl Link {
    /// Whether all keys are on one server, which can then be asked for all of them.
    pub(crate) const fn is_one_server(&self) -> bool {
        match self {
            Self::Single(_) => true,
            #[cfg(feature = "sentinel")]
            Self::Sentinel(_) => true,
            #[cfg(feature = "cluster")]
            Self::Cluster(_) => false,
        }
    }

    pub(crate) async fn run(&self, cmd: &Cmd) -> RedisResult<Value> {
        match self {
            Self::Single(manager) => run(manager.clone(), cmd).await,
            #[cfg(feature = "sentinel")]
            Self::Sentinel(primary) => {
                let call = primary.call(async |connection| run(connection, cmd).await);
                Box::pin(call).await
            }
            #[cfg(feature = "cluster")]
            Self::Cluster(cluster) => Box::pin(run(cluster.clone(), cmd)).await,
        }
    }

    /// Runs two commands, the first of which is on `key`, one behind the other on one connection
    /// to the server that has the key.
    pub(crate) async fn run_both(&self, both: Pipeline, key: &[u8]) -> RedisResult<Vec<Value>> {
        match self {
            Self::Single(manager) => {
                // Only a cluster needs to know the key.
                let _ = key;
                run_both(manager.clone(), &both).await
            }
            #[cfg(feature = "sentinel")]
            Self::Sentinel(primary) => {
                let call = primary.call(async |connection| run_both(connection, &both).await);
                Box::pin(call).await
            }
            #[cfg(feature = "cluster")]
            Self::Cluster(cluster) => {
                use redis::cluster_routing::{Route, SingleNodeRoutingInfo, Slot, SlotAddr};
                let route = Route::with_slot(Slot::for_key(key), SlotAddr::Master);
                let route = SingleNodeRoutingInfo::SpecificNode(route);
                extract(Box::pin(cluster.clone().route_pipeline(both, 0, 2, route)).await?)
            }
        }
    }

    /// Whether a server that no longer is the primary has refused to do anything, so that it may
    /// be asked again of the next one.
    pub(crate) fn was_refused(&self, error: &RedisError) -> bool {
        match self {
            #[cfg(feature = "sentinel")]
            Self::Sentinel(_) => crate::sentinel::is_refusal(error),
            _ => {
                let _ = error;
                false
            }
        }
    }

    /// A step that began then had no answer in time.
    pub(crate) fn doubt(&self, began: Instant) {
        match self {
            #[cfg(feature = "sentinel")]
            Self::Sentinel(primary) => primary.doubt(began),
            _ => {
                let _ = began;
            }
        }
    }
}

async fn run(mut connection: impl ConnectionLike, cmd: &Cmd) -> RedisResult<Value> {
    connection.req_packed_command(cmd).await?.extract_error()
}

async fn run_both(mut connection: impl ConnectionLike, both: &Pipeline) -> RedisResult<Vec<Value>> {
    extract(connection.req_packed_commands(both, 0, 2).await?)
}

fn extract(values: Vec<Value>) -> RedisResult<Vec<Value>> {
    values.into_iter().map(Value::extract_error).collect()
}
