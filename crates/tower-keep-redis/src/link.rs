//! The connections, of every kind.

use std::fmt;

use redis::aio::ConnectionManager;
use redis::{Cmd, RedisError, RedisResult, Value};
#[cfg(feature = "cluster")]
use redis::{
    ErrorKind,
    aio::ConnectionLike as _,
    cluster_async::ClusterConnection,
    cluster_routing::{Route, SingleNodeRoutingInfo, Slot, SlotAddr},
};
use tokio::time::Instant;

use crate::gather::Gathering;
#[cfg(feature = "sentinel")]
use crate::sentinel::Primary;

/// A connection that many callers share and that reconnects by itself. Replies come in the order
/// of the commands, so a caller that goes away leaves nothing behind but a reply nobody reads. To
/// one server callers send together.
pub(crate) enum Link {
    Single(Gathering<ConnectionManager>),
    #[cfg(feature = "sentinel")]
    Sentinel(Primary),
    #[cfg(feature = "cluster")]
    Cluster(ClusterConnection),
}

/// A server of those that have the keys.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Node {
    /// The one that has all of them.
    Only,
    /// A primary of a cluster.
    #[cfg(feature = "cluster")]
    At { host: String, port: u16 },
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Only => f.write_str("the server"),
            #[cfg(feature = "cluster")]
            Self::At { host, port } => write!(f, "{host}:{port}"),
        }
    }
}

#[cfg(feature = "cluster")]
impl Node {
    /// As the driver writes an address.
    fn at(address: &Value) -> Option<Self> {
        let address: String = redis::from_redis_value_ref(address).ok()?;
        let (host, port) = address.rsplit_once(':')?;
        Some(Self::At {
            host: host.to_owned(),
            port: port.parse().ok()?,
        })
    }
}

impl Link {
    /// Whether all keys are on one server.
    pub(crate) const fn is_one_server(&self) -> bool {
        match self {
            Self::Single(_) => true,
            #[cfg(feature = "sentinel")]
            Self::Sentinel(_) => true,
            #[cfg(feature = "cluster")]
            Self::Cluster(_) => false,
        }
    }

    /// The servers that have the keys, in an order of their own.
    #[cfg_attr(
        not(feature = "cluster"),
        allow(clippy::unused_async, reason = "only a cluster is asked")
    )]
    pub(crate) async fn nodes(&self) -> RedisResult<Vec<Node>> {
        match self {
            #[cfg(feature = "cluster")]
            Self::Cluster(cluster) => {
                use redis::cluster_routing::{MultipleNodeRoutingInfo, RoutingInfo};
                let all = RoutingInfo::MultiNode((MultipleNodeRoutingInfo::AllMasters, None));
                let replies = cluster
                    .clone()
                    .route_command(redis::cmd("PING"), all)
                    .await?;
                let unknown = (ErrorKind::UnexpectedReturnType, "a primary has no address");
                let Value::Map(replies) = replies else {
                    return Err(unknown.into());
                };
                let mut nodes = Vec::with_capacity(replies.len());
                for (address, pong) in replies {
                    pong.extract_error()?;
                    nodes.push(Node::at(&address).ok_or(unknown)?);
                }
                nodes.sort_unstable();
                Ok(nodes)
            }
            _ => Ok(vec![Node::Only]),
        }
    }

    /// As [`run`](Self::run), commands that name no key, on this server.
    pub(crate) async fn run_on(&self, node: &Node, commands: Vec<Cmd>) -> RedisResult<Vec<Value>> {
        match (self, node) {
            #[cfg(feature = "cluster")]
            (Self::Cluster(cluster), Node::At { host, port }) => {
                let (host, port) = (host.clone(), *port);
                let route = SingleNodeRoutingInfo::ByAddress { host, port };
                route_to(cluster, commands, route).await
            }
            _ => self.run(commands, &[]).await,
        }
    }

    /// Runs commands, the first of which is on `key`, one behind the other on one connection to the
    /// server that has the key.
    ///
    /// # Errors
    /// The connection's, and the first that a command had.
    pub(crate) async fn run(&self, commands: Vec<Cmd>, key: &[u8]) -> RedisResult<Vec<Value>> {
        match self {
            Self::Single(manager) => {
                // Only a cluster needs to know the key.
                let _ = key;
                extract(manager.run(commands).await?)
            }
            #[cfg(feature = "sentinel")]
            Self::Sentinel(primary) => {
                let call =
                    primary.call(async |connection| extract(connection.run(commands).await?));
                Box::pin(call).await
            }
            #[cfg(feature = "cluster")]
            Self::Cluster(cluster) => Box::pin(run_in_cluster(cluster, commands, key)).await,
        }
    }

    /// Runs a command that names no key, on any server.
    pub(crate) async fn ask(&self, cmd: Cmd) -> RedisResult<Value> {
        Ok(only(self.run(vec![cmd], &[]).await?))
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

#[cfg(feature = "cluster")]
async fn run_in_cluster(
    cluster: &ClusterConnection,
    commands: Vec<Cmd>,
    key: &[u8],
) -> RedisResult<Vec<Value>> {
    if let [command] = &commands[..] {
        // The driver finds out where it belongs, and where it has moved to.
        let reply = cluster.clone().req_packed_command(command).await?;
        return extract(vec![reply]);
    }
    let route = Route::with_slot(Slot::for_key(key), SlotAddr::Master);
    route_to(
        cluster,
        commands,
        SingleNodeRoutingInfo::SpecificNode(route),
    )
    .await
}

#[cfg(feature = "cluster")]
async fn route_to(
    cluster: &ClusterConnection,
    commands: Vec<Cmd>,
    route: SingleNodeRoutingInfo,
) -> RedisResult<Vec<Value>> {
    let (mut pipeline, count) = (redis::pipe(), commands.len());
    for command in commands {
        pipeline.add_command(command);
    }
    extract(
        cluster
            .clone()
            .route_pipeline(pipeline, 0, count, route)
            .await?,
    )
}

fn extract(values: Vec<Value>) -> RedisResult<Vec<Value>> {
    values.into_iter().map(Value::extract_error).collect()
}

/// The reply to a single command.
pub(crate) fn only(replies: Vec<Value>) -> Value {
    replies.into_iter().next().unwrap_or(Value::Nil)
}
