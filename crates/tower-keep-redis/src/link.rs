//! The connections, of every kind.

use redis::aio::{ConnectionLike, ConnectionManager};
use redis::{Cmd, Pipeline, RedisResult, Value};

/// A connection that many callers share and that reconnects by itself. Replies come in the order
/// of the commands, so a caller that goes away leaves nothing behind but a reply nobody reads.
#[derive(Clone)]
pub(crate) enum Link {
    Single(ConnectionManager),
    #[cfg(feature = "cluster")]
    Cluster(redis::cluster_async::ClusterConnection),
}

impl Link {
    pub(crate) async fn run(&self, cmd: &Cmd) -> RedisResult<Value> {
        let value = match self {
            Self::Single(manager) => manager.clone().req_packed_command(cmd).await,
            #[cfg(feature = "cluster")]
            Self::Cluster(cluster) => cluster.clone().req_packed_command(cmd).await,
        };
        value?.extract_error()
    }

    /// Runs two commands, the first of which is on `key`, one behind the other on one connection
    /// to the server that has the key.
    pub(crate) async fn run_both(&self, both: Pipeline, key: &[u8]) -> RedisResult<Vec<Value>> {
        match self {
            Self::Single(manager) => {
                // Only a cluster needs to know the key.
                let _ = key;
                manager.clone().req_packed_commands(&both, 0, 2).await
            }
            #[cfg(feature = "cluster")]
            Self::Cluster(cluster) => {
                use redis::cluster_routing::{Route, SingleNodeRoutingInfo, Slot, SlotAddr};
                let route = Route::with_slot(Slot::for_key(key), SlotAddr::Master);
                let route = SingleNodeRoutingInfo::SpecificNode(route);
                cluster.clone().route_pipeline(both, 0, 2, route).await
            }
        }
    }
}
