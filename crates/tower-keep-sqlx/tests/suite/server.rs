//! Servers that a test may kill, and small file systems that it may fill.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use sqlx::{Connection, MySqlConnection, PgConnection};
use tower_keep_core::CommitId;

use crate::place::{Engine, Place, until};

/// Prepares a directory, starts the server in it when told so and ends it by the signals that it
/// reads. When standard input ends, which it does however the test process ends, nothing is left.
const KEEPER: &str = r#"
engine=$1 dir=$2 room=$3
pid=
trap '' INT PIPE
finish() {
    [ -z "$pid" ] || { kill -QUIT "$pid"; wait "$pid"; }
    [ -z "$small" ] || umount -l "$small"
    rm -rf "$dir"
}
as_user() {
    if [ "$(id -u)" = 0 ]; then
        exec setpriv --reuid="$user" --regid="$user" --init-groups "$@"
    fi
    exec "$@"
}
found() {
    command -v "$1" || ls /usr/sbin/"$1" /usr/lib/postgresql/*/bin/"$1" 2>/dev/null | tail -n 1
}
prepare() {
    case $engine in
        Sqlite) user=$(id -un) small=$dir/small ;;
        Postgres) user=postgres small=$dir/small ;;
        MariaDb) user=mysql small=$dir/data/keep ;;
    esac
    [ "$(id -u)" != 0 ] || chown "$user" "$dir"
    case $engine in
        Postgres)
            (as_user "$(realpath "$(found initdb)")" --pgdata=data --username=keep --auth=trust \
                --encoding=UTF8 --no-locale --no-sync) || return 1
            ;;
        MariaDb)
            (as_user "$(found mariadb-install-db)" --no-defaults --datadir="$dir/data" \
                --skip-test-db --auth-root-authentication-method=normal) || return 1
            printf '%s\n' 'CREATE DATABASE IF NOT EXISTS keep;' \
                "CREATE USER IF NOT EXISTS keep@'127.0.0.1';" \
                "GRANT ALL ON *.* TO keep@'127.0.0.1';" >init.sql
            ;;
    esac
    [ -n "$room" ] || { small=; return 0; }
    mkdir "$small"
    mount -t tmpfs -o "size=$room,mode=700,uid=$(id -u "$user")" tmpfs "$small" && return 0
    small=
    echo 'a small file system cannot be mounted: that takes root'
    return 1
}
run() {
    case $engine in
        Postgres)
            as_user "$(dirname "$(realpath "$(found initdb)")")/postgres" -D data -k "$dir" \
                -h 127.0.0.1 -p "$1" -c fsync=off
            ;;
        MariaDb)
            # What it answers survives it, though not the machine.
            as_user "$(found mariadbd)" --no-defaults --datadir="$dir/data" --skip-name-resolve \
                --bind-address=127.0.0.1 --port="$1" --socket="$dir/socket" --pid-file="$dir/pid" \
                --innodb-flush-log-at-trx-commit=2 --init-file="$dir/init.sql"
            ;;
    esac
}
cd "$dir" || exit 1
trap finish EXIT
prepare >>log 2>&1 || { tail -n 5 log | tr '\n' ' '; echo; exit 1; }
echo ready
while read -r word argument; do
    case $word in
        start) run "$argument" >>log 2>&1 & pid=$! ;;
        end) kill -s "$argument" "$pid"; wait "$pid"; pid= ;;
    esac
    echo "$word"
done
"#;

/// A server of its own, or for SQLite a directory.
#[derive(Debug)]
pub(crate) struct Server {
    engine: Engine,
    keeper: Child,
    /// Taken at the end, which ends the keeper.
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
    dir: PathBuf,
    port: u16,
}

impl Server {
    /// With `room`, the tables are on a file system of that size: of the whole database for
    /// SQLite and MariaDB, of the tablespace `small` for PostgreSQL.
    pub(crate) async fn start(engine: Engine, room: Option<&str>) -> Self {
        let name = format!("keep-sqlx-{:?}", CommitId::unique());
        let dir = std::env::temp_dir().join(name);
        std::fs::create_dir(&dir).unwrap();
        let mut keeper = Command::new("sh")
            .args(["-c", KEEPER, "sh", &format!("{engine:?}")])
            .arg(&dir)
            .arg(room.unwrap_or_default())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let (stdin, stdout) = (keeper.stdin.take(), keeper.stdout.take().unwrap());
        let mut server = Self {
            engine,
            keeper,
            stdin,
            stdout: BufReader::new(stdout),
            dir,
            port: 0,
        };
        let heard = server.hear();
        assert_eq!(heard, "ready", "{engine:?} cannot be prepared");
        if engine != Engine::Sqlite {
            server.port = free_port();
            server.start_again().await;
        }
        if engine == Engine::Postgres && room.is_some() {
            let small = server.small().display().to_string();
            let place = server.place();
            place
                .run(&format!("CREATE TABLESPACE small LOCATION '{small}'"))
                .await;
            place
                .run("ALTER ROLE keep SET default_tablespace = small")
                .await;
        }
        server
    }

    fn hear(&mut self) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        line.trim().to_owned()
    }

    fn tell(&mut self, line: &str) {
        writeln!(self.stdin.as_mut().unwrap(), "{line}").unwrap();
        self.hear();
    }

    /// Ends it by this signal.
    pub(crate) fn end(&mut self, signal: &str) {
        self.tell(&format!("end {signal}"));
    }

    /// Starts it on the same port and files.
    pub(crate) async fn start_again(&mut self) {
        self.tell(&format!("start {}", self.port));
        // It, and not another that took the port meanwhile.
        let (url, data) = (self.url(), self.dir.join("data"));
        until(async || {
            own_directory(&url)
                .await
                .is_ok_and(|dir| data == Path::new(&dir))
        })
        .await;
    }

    fn url(&self) -> String {
        match self.engine {
            Engine::Sqlite => format!("sqlite:{}", self.small().join("keep.db").display()),
            Engine::Postgres => format!("postgres://keep@127.0.0.1:{}/postgres", self.port),
            Engine::MariaDb => format!("mysql://keep@127.0.0.1:{}/keep", self.port),
        }
    }

    /// Where the small file system is.
    pub(crate) fn small(&self) -> PathBuf {
        let small = match self.engine {
            Engine::Sqlite | Engine::Postgres => "small",
            Engine::MariaDb => "data/keep",
        };
        self.dir.join(small)
    }

    pub(crate) fn place(&self) -> Place {
        let table = format!("t_{:?}", CommitId::unique());
        Place::existing(&format!("{:?}", self.engine), self.url(), table)
    }
}

/// Below those that outgoing connections take, so that it is still free after a restart.
fn free_port() -> u16 {
    loop {
        let port = 20_000 + u16::try_from(CommitId::unique().to_u128() % 12_000).unwrap();
        if std::net::TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// Where the server that answers keeps its data.
async fn own_directory(url: &str) -> Result<String, sqlx::Error> {
    if url.starts_with("postgres") {
        let mut connection = PgConnection::connect(url).await?;
        let query = sqlx::query_scalar("SELECT current_setting('data_directory')");
        query.fetch_one(&mut connection).await
    } else {
        let mut connection = MySqlConnection::connect(url).await?;
        let query = sqlx::query_scalar("SELECT CAST(@@datadir AS CHAR)");
        query.fetch_one(&mut connection).await
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stdin.take());
        let _ = self.keeper.wait();
    }
}
