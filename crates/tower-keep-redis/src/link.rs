//! The connections, of every kind.

use std::fmt;

#[cfg(feature = "cluster")]
use redis::ErrorKind;
use redis::aio::{ConnectionLike, ConnectionManager};
use redis::{Cmd, RedisError, RedisResult, Value};
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
    Cluster(redis::cluster_async::ClusterConnection),
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

    /// Runs two commands that name no key, one behind the other on one connection to this server.
    pub(crate) async fn run_both_on(&self, node: &Node, both: [Cmd; 2]) -> RedisResult<Vec<Value>> {
        match (self, node) {
            #[cfg(feature = "cluster")]
            (Self::Cluster(cluster), Node::At { host, port }) => {
                use redis::cluster_routing::SingleNodeRoutingInfo;
                let (host, port) = (host.clone(), *port);
                let route = SingleNodeRoutingInfo::ByAddress { host, port };
                extract(
                    cluster
                        .clone()
                        .route_pipeline(pipeline(both), 0, 2, route)
                        .await?,
                )
            }
            _ => self.run_both(both, &[]).await,
        }
    }

    pub(crate) async fn run(&self, cmd: Cmd) -> RedisResult<Value> {
        match self {
            Self::Single(manager) => run(manager, cmd).await,
            #[cfg(feature = "sentinel")]
            Self::Sentinel(primary) => {
                let call = primary.call(async |connection| run(&connection, cmd).await);
                Box::pin(call).await
            }
            #[cfg(feature = "cluster")]
            Self::Cluster(cluster) => {
                let mut cluster = cluster.clone();
                Box::pin(cluster.req_packed_command(&cmd))
                    .await?
                    .extract_error()
            }
        }
    }

    /// Runs two commands, the first of which is on `key`, one behind the other on one connection
    /// to the server that has the key.
    pub(crate) async fn run_both(&self, both: [Cmd; 2], key: &[u8]) -> RedisResult<Vec<Value>> {
        match self {
            Self::Single(manager) => {
                // Only a cluster needs to know the key.
                let _ = key;
                run_both(manager, both).await
            }
            #[cfg(feature = "sentinel")]
            Self::Sentinel(primary) => {
                let call = primary.call(async |connection| run_both(&connection, both).await);
                Box::pin(call).await
            }
            #[cfg(feature = "cluster")]
            Self::Cluster(cluster) => {
                use redis::cluster_routing::{Route, SingleNodeRoutingInfo, Slot, SlotAddr};
                let route = Route::with_slot(Slot::for_key(key), SlotAddr::Master);
                let route = SingleNodeRoutingInfo::SpecificNode(route);
                let both = pipeline(both);
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

async fn run<C>(connection: &Gathering<C>, cmd: Cmd) -> RedisResult<Value>
where
    C: ConnectionLike + Clone + Send + 'static,
{
    let reply = connection.run(vec![cmd]).await?.pop();
    reply.unwrap_or(Value::Nil).extract_error()
}

async fn run_both<C>(connection: &Gathering<C>, both: [Cmd; 2]) -> RedisResult<Vec<Value>>
where
    C: ConnectionLike + Clone + Send + 'static,
{
    extract(connection.run(both.into()).await?)
}

#[cfg(feature = "cluster")]
fn pipeline(commands: [Cmd; 2]) -> redis::Pipeline {
    let mut pipeline = redis::pipe();
    for command in commands {
        pipeline.add_command(command);
    }
    pipeline
}

fn extract(values: Vec<Value>) -> RedisResult<Vec<Value>> {
    values.into_iter().map(Value::extract_error).collect()
}
