//! What Linux says of a process, in `/proc`.

use std::collections::HashMap;
use std::fmt;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

/// Where a program has its store, as far as its files tell.
#[derive(Debug, Clone)]
pub enum Where {
    /// In its own memory.
    Nowhere,
    /// In files below this directory.
    Dir(PathBuf),
    /// At a server on this port.
    Port(u16),
}

/// A process at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Vitals {
    /// Memory, in bytes (RSS).
    pub resident: u64,
    /// Memory that is no part of a file, in bytes. What is read of the program itself comes and goes
    /// as the machine pleases.
    pub anonymous: u64,
    pub threads: usize,
    pub files: Files,
}

/// Its open files.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Files {
    /// Connections of its clients.
    pub clients: usize,
    /// The store's: its connections to a server, or its files.
    pub store: usize,
    /// All others.
    pub others: usize,
}

/// One end of a connection: the process', and the other.
type Ends = (SocketAddr, SocketAddr);

/// What the kernel says of one end of a connection.
struct Connection {
    ends: Ends,
    state: u8,
    /// Bytes that have come and were not read.
    unread: u64,
    /// None, which is 0, once no process has it open.
    inode: u64,
}

impl fmt::Display for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unread = self.unread;
        match self.state {
            1 => write!(f, "ESTABLISHED"),
            4 => write!(f, "FIN_WAIT1"),
            5 => write!(f, "FIN_WAIT2"),
            6 => write!(f, "TIME_WAIT"),
            8 => write!(f, "CLOSE_WAIT"),
            9 => write!(f, "LAST_ACK"),
            other => write!(f, "state {other}"),
        }?;
        write!(f, ", {unread} bytes unread")
    }
}

/// Of this process, which serves at this port. `None` if it has gone.
pub fn vitals(pid: u32, port: u16, store: &Where) -> Option<Vitals> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let kib = |name| 1024 * field(&status, name).unwrap_or_default();
    let mut files = Files::default();
    for file in open_files(pid)? {
        *match (&file, store) {
            (File::Connection((own, _)), _) if own.port() == port => &mut files.clients,
            (File::Connection((_, other)), Where::Port(at)) if other.port() == *at => {
                &mut files.store
            }
            (File::Path(path), Where::Dir(dir)) if path.starts_with(dir) => &mut files.store,
            _ => &mut files.others,
        } += 1;
    }
    Some(Vitals {
        resident: kib("VmRSS"),
        anonymous: kib("RssAnon"),
        threads: usize::try_from(field(&status, "Threads")?).ok()?,
        files,
    })
}

/// Its own ends of its connections to this port of a server.
pub(crate) fn connections_to(pid: u32, port: u16) -> Vec<SocketAddr> {
    let files = open_files(pid).unwrap_or_default().into_iter();
    let own_end = |file| match file {
        File::Connection((own, other)) if other.port() == port => Some(own),
        _ => None,
    };
    files.filter_map(own_end).collect()
}

/// Its clients' connections, a line for each with the states of both ends: whether it is the client
/// or the program that has not closed it.
pub(crate) fn clients_of(pid: u32, port: u16) -> String {
    let table: HashMap<_, _> = connections(pid).map(|c| (c.ends, c)).collect();
    let open = |c: &&Connection| c.ends.0.port() == port && c.inode != 0;
    let line = |own: &Connection| {
        let (at, client) = own.ends;
        let other = table.get(&(client, at));
        let other = other.map_or_else(|| "gone".to_owned(), Connection::to_string);
        format!("{client}: the program's end {own}; its own {other}\n")
    };
    table.values().filter(open).map(line).collect()
}

enum File {
    Connection(Ends),
    Path(PathBuf),
}

fn open_files(pid: u32) -> Option<Vec<File>> {
    let links = fs::read_dir(format!("/proc/{pid}/fd")).ok()?;
    // One may be closed meanwhile.
    let links: Vec<_> = links
        .filter_map(|link| fs::read_link(link.ok()?.path()).ok())
        .collect();
    let connections: HashMap<_, _> = connections(pid).map(|c| (c.inode, c.ends)).collect();
    let file = |link: PathBuf| {
        let name = link.to_str().unwrap_or_default();
        let inode = name
            .strip_prefix("socket:[")
            .and_then(|rest| rest.strip_suffix(']'));
        let ends = inode.and_then(|inode| connections.get(&inode.parse().ok()?));
        ends.map_or(File::Path(link), |ends| File::Connection(*ends))
    };
    Some(links.into_iter().map(file).collect())
}

/// All that the process could see, of whichever process.
fn connections(pid: u32) -> impl Iterator<Item = Connection> {
    ["tcp", "tcp6"].into_iter().flat_map(move |table| {
        let text = fs::read_to_string(format!("/proc/{pid}/net/{table}")).unwrap_or_default();
        text.lines().filter_map(connection).collect::<Vec<_>>()
    })
}

/// The number behind this name.
fn field(status: &str, name: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    line.split_whitespace().next()?.parse().ok()
}

/// Of a line of the table.
fn connection(line: &str) -> Option<Connection> {
    let mut fields = line.split_whitespace().skip(1);
    let ends = (address(fields.next()?)?, address(fields.next()?)?);
    let state = u8::from_str_radix(fields.next()?, 16).ok()?;
    let (_, unread) = fields.next()?.split_once(':')?;
    let read = Connection {
        ends,
        state,
        unread: u64::from_str_radix(unread, 16).ok()?,
        inode: fields.nth(4)?.parse().ok()?,
    };
    // Who listens is connected with nobody.
    (ends.1.port() != 0).then_some(read)
}

/// As the kernel writes it: words of 32 bits in the machine's order, all in hexadecimal.
fn address(text: &str) -> Option<SocketAddr> {
    let (ip, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let word = |at: usize| {
        let word = u32::from_str_radix(ip.get(8 * at..8 * (at + 1))?, 16).ok()?;
        Some(word.to_ne_bytes())
    };
    let ip = if ip.len() == 8 {
        IpAddr::V4(Ipv4Addr::from(word(0)?))
    } else {
        let mut bytes = [0; 16];
        for (at, four) in bytes.chunks_exact_mut(4).enumerate() {
            four.copy_from_slice(&word(at)?);
        }
        IpAddr::V6(Ipv6Addr::from(bytes))
    };
    Some(SocketAddr::new(ip, port))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream};

    #[test]
    fn a_table_of_connections_is_read() {
        let line = "   0: 0100007F:1F90 0200007F:A1B2 08 00000000:0000002A 00:00000000 00000000  \
                    1000        0 48151 1 0000000000000000 20 4 30 10 -1";
        let read = connection(line).unwrap();
        assert_eq!(read.inode, 48151);
        assert_eq!(read.ends.0, "127.0.0.1:8080".parse().unwrap());
        assert_eq!(read.ends.1, "127.0.0.2:41394".parse().unwrap());
        assert_eq!(read.to_string(), "CLOSE_WAIT, 42 bytes unread");
        let loopback = address("00000000000000000000000001000000:0050").unwrap();
        assert_eq!(loopback, "[::1]:80".parse().unwrap());
        assert!(connection("  sl  local_address rem_address   st").is_none());
    }

    #[test]
    fn what_this_process_opens_is_counted() {
        let pid = std::process::id();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let dir = tempfile::tempdir().unwrap();
        let at = |store: &Where| vitals(pid, port, store).unwrap();
        let clients: Vec<_> = (0..3)
            .map(|_| {
                let client = TcpStream::connect(("127.0.0.1", port)).unwrap();
                (client, listener.accept().unwrap())
            })
            .collect();
        let found = at(&Where::Nowhere);
        assert_eq!(found.files.clients, 3);
        assert!(found.anonymous > 0 && found.resident >= found.anonymous && found.threads > 0);
        let told = clients_of(pid, port);
        assert_eq!(told.lines().count(), 3, "{told}");
        assert_eq!(told.matches("ESTABLISHED, 0 bytes").count(), 6, "{told}");
        // Their other ends are connections to a server, seen from there.
        assert_eq!(at(&Where::Port(port)).files.store, 3);
        let mut own = connections_to(pid, port);
        own.sort_unstable();
        let mut ends: Vec<_> = clients
            .iter()
            .map(|(c, _)| c.local_addr().unwrap())
            .collect();
        ends.sort_unstable();
        assert_eq!(own, ends);

        let _file = fs::File::create(dir.path().join("file")).unwrap();
        let dir = dir.path().canonicalize().unwrap();
        assert_eq!(at(&Where::Dir(dir)).files.store, 1);
        assert!(vitals(u32::MAX, port, &Where::Nowhere).is_none());
    }
}
