//! A proxy that counts what a client asks a database, and how often it waits for an answer.

use std::net::{Ipv4Addr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Which requests there are.
#[derive(Clone, Copy)]
pub enum Protocol {
    Redis,
    Postgres,
}

/// Counts all connections together.
pub struct Proxy {
    /// The database's URL, by way of the proxy.
    pub url: String,
    counts: Arc<Counts>,
}

#[derive(Default)]
struct Counts {
    flights: AtomicU64,
    commands: AtomicU64,
}

/// How much there has been since the start.
#[derive(Clone, Copy)]
pub struct Seen {
    /// Bursts to the server that came after an answer, so round trips.
    pub flights: u64,
    /// Redis commands, or executions of PostgreSQL statements.
    pub commands: u64,
}

impl Proxy {
    /// In front of the database at this URL.
    pub async fn start(url: &str, protocol: Protocol) -> Self {
        let (scheme, rest) = url.split_once("://").expect("a URL");
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (user, host) = authority.rsplit_once('@').unwrap_or(("", authority));
        let upstream = host
            .to_socket_addrs()
            .expect("HOST:PORT")
            .next()
            .expect("an address");
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let counts = Arc::new(Counts::default());
        tokio::spawn(accept(listener, upstream, protocol, counts.clone()));
        let at = if user.is_empty() { "" } else { "@" };
        let url = format!("{scheme}://{user}{at}{address}/{path}");
        Self { url, counts }
    }

    pub fn seen(&self) -> Seen {
        Seen {
            flights: self.counts.flights.load(Relaxed),
            commands: self.counts.commands.load(Relaxed),
        }
    }
}

async fn accept(
    listener: TcpListener,
    upstream: SocketAddr,
    protocol: Protocol,
    counts: Arc<Counts>,
) {
    while let Ok((client, _)) = listener.accept().await {
        let server = TcpStream::connect(upstream)
            .await
            .expect("the database listens");
        for stream in [&client, &server] {
            stream.set_nodelay(true).expect("it is connected");
        }
        let (from_client, mut to_client) = client.into_split();
        let (mut from_server, to_server) = server.into_split();
        let answered = Arc::new(AtomicBool::new(true));
        let there = Requests {
            reader: Reader::new(protocol),
            answered: answered.clone(),
            counts: counts.clone(),
        };
        tokio::spawn(there.pass_on(from_client, to_server));
        tokio::spawn(async move {
            let mut buffer = vec![0; 1 << 16];
            while let Ok(read @ 1..) = from_server.read(&mut buffer).await {
                answered.store(true, Relaxed);
                if to_client.write_all(&buffer[..read]).await.is_err() {
                    break;
                }
            }
        });
    }
}

/// One connection's way to the server.
struct Requests {
    reader: Reader,
    answered: Arc<AtomicBool>,
    counts: Arc<Counts>,
}

impl Requests {
    async fn pass_on(
        mut self,
        mut from: tokio::net::tcp::OwnedReadHalf,
        mut to: tokio::net::tcp::OwnedWriteHalf,
    ) {
        let mut buffer = vec![0; 1 << 16];
        while let Ok(read @ 1..) = from.read(&mut buffer).await {
            if self.answered.swap(false, Relaxed) {
                self.counts.flights.fetch_add(1, Relaxed);
            }
            let commands = self.reader.commands(&buffer[..read]);
            self.counts.commands.fetch_add(commands, Relaxed);
            if to.write_all(&buffer[..read]).await.is_err() {
                break;
            }
        }
    }
}

/// Finds the commands in what a client sends.
struct Reader {
    protocol: Protocol,
    /// What has come of a command that is not complete.
    rest: Vec<u8>,
    /// A connection to PostgreSQL begins with messages that have no type.
    began: bool,
}

impl Reader {
    fn new(protocol: Protocol) -> Self {
        Self {
            protocol,
            rest: Vec::new(),
            began: false,
        }
    }

    /// How many are complete with these bytes.
    fn commands(&mut self, bytes: &[u8]) -> u64 {
        self.rest.extend_from_slice(bytes);
        let mut commands = 0;
        while let Some((length, is_command)) = match self.protocol {
            Protocol::Redis => redis_command(&self.rest).map(|length| (length, true)),
            Protocol::Postgres => self.postgres_message(),
        } {
            self.rest.drain(..length);
            commands += u64::from(is_command);
        }
        commands
    }

    /// The length of the first message, and whether it executes a statement.
    fn postgres_message(&mut self) -> Option<(usize, bool)> {
        const ENCRYPTION_WANTED: [u8; 4] = 80_877_103_u32.to_be_bytes();
        let number = |at: usize| {
            let bytes = self.rest.get(at..at + 4)?.try_into().ok()?;
            usize::try_from(u32::from_be_bytes(bytes)).ok()
        };
        let (length, is_command) = if self.began {
            (1 + number(1)?, matches!(self.rest[0], b'E' | b'Q'))
        } else {
            (number(0)?, false)
        };
        let message = self.rest.get(..length)?;
        self.began = self.began || message[4..8] != ENCRYPTION_WANTED;
        Some((length, is_command))
    }
}

/// The length of the first command: an array of strings, each with its length in front.
fn redis_command(bytes: &[u8]) -> Option<usize> {
    let line = |at: usize| {
        let end = at + bytes.get(at..)?.iter().position(|byte| *byte == b'\n')?;
        let number = str::from_utf8(&bytes[at + 1..end])
            .ok()?
            .trim()
            .parse::<usize>()
            .ok()?;
        Some((number, end + 1))
    };
    let (count, mut at) = line(0)?;
    for _ in 0..count {
        let (length, start) = line(at)?;
        at = start + length + 2;
    }
    (at <= bytes.len()).then_some(at)
}
