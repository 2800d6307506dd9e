//! Wrong input, and databases that cannot be used: each is refused in words that say what to do.

use bookstore_core::{
    SystemClock,
    store::postgres::{self, Migrated},
};
use std::{
    fs,
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use super::{
    open,
    server::{Server, database, plain_user},
};

/// Asserts that a URL is refused, and that the message has all of these words.
async fn assert_refused(url: &str, words: &[&str]) {
    let error = open(url).await.map(drop).expect_err(url).to_string();
    for word in words {
        assert!(error.contains(word), "{word:?} is missing: {error}");
    }
    assert!(!error.contains("secret"), "no password is shown: {error}");
}

#[tokio::test]
async fn what_cannot_be_connected_to_says_why() {
    let Some(database) = database() else { return };
    let (url, port) = (database.tcp_url(), database.server.port());
    assert_refused(&url.replace("secret", "secret-not"), &["password", "\"postgres\""]).await;
    assert_refused(&url.replace(&database.name, "nowhere"), &["no database \"nowhere\"", "createdb"]).await;
    assert_refused(&url.replace("postgres:secret", "stranger:secret"), &["password"]).await;
    assert_refused("postgres://postgres@127.0.0.1:1/shop", &["127.0.0.1:1", "refused"]).await;
    assert_refused(&format!("postgres://postgres@127.0.0.1:{port}/{}?sslmode=require", database.name), &["TLS"]).await;
    assert_refused(&url.replace("disable", "verify-full&sslrootcert=/nowhere.pem"), &["/nowhere.pem"]).await;
}

#[tokio::test]
async fn a_password_file_is_used_if_nobody_else_may_read_it() {
    use std::os::unix::fs::PermissionsExt as _;
    let Some(database) = database() else { return };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("pgpass");
    fs::write(&file, "*:*:*:postgres:secret\n").expect("written");
    let url = database.tcp_url().replace(":secret", "") + &format!("&passfile={}", file.display());
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).expect("set");
    assert_refused(&url, &["chmod 600"]).await;
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("set");
    open(&url).await.expect("the password is in the file");
}

#[tokio::test]
async fn a_schema_of_somebody_else_is_left_alone() {
    let Some(database) = database() else { return };
    database.sql("CREATE SCHEMA bookstore; CREATE TABLE bookstore.ledger (account text)");
    assert_refused(&database.tcp_url(), &["another program", "createdb"]).await;
    assert_eq!(database.sql("SELECT count(*) FROM pg_tables WHERE schemaname = 'bookstore'"), "1");
}

#[tokio::test]
async fn tables_are_made_once_and_those_of_a_newer_program_are_refused() {
    let Some(database) = database() else { return };
    let url = database.tcp_url().parse().expect("a URL");
    let migrate = || postgres::migrate(&url, &SystemClock, None);
    // Several at once: one makes the tables, the others find them.
    let (one, two, three) = tokio::join!(migrate(), migrate(), migrate());
    let mut from: Vec<_> = [one, two, three].into_iter().map(|done| done.expect("migrated").from).collect();
    from.sort_unstable();
    assert_eq!(from, [0, 1, 1]);
    assert_eq!(migrate().await.expect("nothing to do"), Migrated { from: 1, to: 1 });
    database.sql("UPDATE bookstore.ledger SET version = 2");
    assert_refused(&database.tcp_url(), &["schema version 2", "newer program"]).await;
}

#[tokio::test]
async fn a_user_that_may_not_make_the_schema_is_told_what_it_needs() {
    let Some(database) = database() else { return };
    database.sql("CREATE ROLE clerk_1 LOGIN PASSWORD 'secret'");
    let clerk = database.tcp_url().replace("postgres:secret", "clerk_1:secret");
    assert_refused(&clerk, &["GRANT CREATE ON DATABASE"]).await;
    database.sql("CREATE SCHEMA bookstore AUTHORIZATION clerk_1");
    open(&clerk).await.expect("an empty schema of its own is enough");
}

#[tokio::test]
async fn a_database_that_is_read_only_is_refused() {
    let Some(database) = database() else { return };
    database.sql(&format!("ALTER DATABASE {} SET default_transaction_read_only = on", database.name));
    assert_refused(&database.tcp_url(), &["read only", "default_transaction_read_only"]).await;
}

#[tokio::test]
async fn a_server_without_connections_left_says_so() {
    let Some(database) = database() else { return };
    database.sql(&format!(
        "CREATE ROLE clerk_2 LOGIN PASSWORD 'secret'; GRANT CREATE ON DATABASE {0} TO clerk_2; \
        ALTER DATABASE {0} CONNECTION LIMIT 0",
        database.name
    ));
    let clerk = database.tcp_url().replace("postgres:secret", "clerk_2:secret");
    assert_refused(&clerk, &["no connection left"]).await;
}

#[tokio::test]
async fn of_several_hosts_the_one_with_the_newest_ledger_is_taken() {
    let (Some(old), Some(new)) = (database(), Server::start(&["fsync=off"])) else { return };
    // Two servers with the same database name, as of a primary that was cut off and of the one that replaced it.
    new.sql("postgres", &format!("CREATE DATABASE {}", old.name));
    for (url, claims) in [(old.tcp_url(), 1), (new.url_at(new.port(), &old.name), 3)] {
        for _ in 0..claims {
            use bookstore_core::store::LedgerStore as _;
            let (mut store, _) = open(&url).await.expect("opened");
            store.recover().await.expect("claimed");
        }
    }
    let (first, second) = (old.server.port(), new.port());
    let identity = |server: &Server| server.sql(&old.name, "SELECT id FROM bookstore.ledger");
    for hosts in [
        format!("127.0.0.1:{first},127.0.0.1:{second}"),
        format!("127.0.0.1:{second},127.0.0.1:{first}"),
        format!("127.0.0.1:1,127.0.0.1:{second}"),
    ] {
        use bookstore_core::store::LedgerReader as _;
        let url = old.tcp_url().replace(&format!("127.0.0.1:{first}"), &hosts);
        let (_, reader) = open(&url).await.expect("one of them can be written to");
        assert_eq!(reader.identity().ledger.to_string(), identity(&new), "{hosts}");
    }
}

/// Ends `pgbouncer`, by its id.
struct Pooler(std::process::Child);

impl Drop for Pooler {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts `pgbouncer` in this mode before a server; `None` if it is not installed.
fn pooler(server: &Server, mode: &str) -> Option<(Pooler, u16)> {
    let program = Path::new("/usr/sbin/pgbouncer");
    if !program.exists() {
        assert!(std::env::var_os("BOOKSTORE_TEST_ALL").is_none(), "{program:?} must be installed for this test");
        println!("skipped: {program:?} is not installed");
        return None;
    }
    let port = TcpListener::bind("127.0.0.1:0").expect("a free port").local_addr().expect("bound").port();
    let folder = server.folder().display();
    let settings = format!(
        "[databases]\n* = host={folder} port={} user=postgres\n[pgbouncer]\nlisten_addr = 127.0.0.1\n\
        listen_port = {port}\nauth_type = any\nunix_socket_dir =\npool_mode = {mode}\n",
        server.port()
    );
    let name = format!("pgbouncer-{mode}.ini");
    fs::write(server.folder().join(&name), settings).expect("written");
    server.give_files(&[&name]);
    let mut command = plain_user(program, server.folder());
    let pooler = Pooler(command.args(["-q", &name]).stderr(Stdio::null()).spawn().expect("pgbouncer runs"));
    let until = Instant::now() + Duration::from_secs(20);
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(Instant::now() < until, "pgbouncer does not start");
        std::thread::sleep(Duration::from_millis(20));
    }
    Some((pooler, port))
}

#[tokio::test]
async fn a_pooler_is_refused_if_it_gives_each_transaction_another_connection() {
    let Some(database) = database() else { return };
    let Some((_pooler, port)) = pooler(&database.server, "transaction") else { return };
    let url = |port| format!("postgres://postgres@127.0.0.1:{port}/{}?sslmode=disable", database.name);
    assert_refused(&url(port), &["pooler in transaction mode", "PostgreSQL itself"]).await;
    assert_eq!(database.sql("SELECT count(*) FROM pg_namespace WHERE nspname = 'bookstore'"), "0", "nothing was made");
    let Some((_pooler, port)) = pooler(&database.server, "session") else { return };
    open(&url(port)).await.expect("a session is a session");
}

/// A certificate of a CA for a name, made with `openssl`.
fn certificates(folder: &Path, name: &str) -> bool {
    let script = format!(
        "set -e; openssl req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -days 2 -subj /CN=ca 2>/dev/null
        openssl req -newkey rsa:2048 -nodes -keyout server.key -out server.csr -subj /CN={name} 2>/dev/null
        printf 'subjectAltName=DNS:{name}' >ext
        openssl x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out server.pem -days 2 -extfile ext 2>/dev/null
        openssl req -x509 -newkey rsa:2048 -nodes -keyout other.key -out other.pem -days 2 -subj /CN=other 2>/dev/null
        chmod 600 server.key"
    );
    Command::new("sh").args(["-c", &script]).current_dir(folder).status().is_ok_and(|status| status.success())
}

#[tokio::test]
async fn tls_is_as_strict_as_sslmode_says() {
    let Some(server) = Server::start(&["fsync=off"]) else { return };
    let database = server.database();
    let folder = server.folder();
    assert!(certificates(folder, "localhost"), "openssl makes certificates");
    server.give_files(&["server.pem", "server.key"]);
    server.sql("postgres", "ALTER SYSTEM SET ssl_cert_file = '../server.pem'");
    server.sql("postgres", "ALTER SYSTEM SET ssl_key_file = '../server.key'");
    server.sql("postgres", "ALTER SYSTEM SET ssl = on");
    server.stop(false);
    server.run();
    let (ca, other) = (folder.join("ca.pem"), folder.join("other.pem"));
    let url = |host: &str, mode: &str| database.tcp_url().replace("127.0.0.1", host).replace("disable", mode);
    let with = |mode: &str, ca: &Path| format!("{mode}&sslrootcert={}", ca.display());
    for (host, mode) in [
        ("127.0.0.1", "disable".to_owned()),
        ("127.0.0.1", "prefer".into()),
        ("127.0.0.1", "require".into()),
        ("127.0.0.1", with("verify-ca", &ca)),
        ("localhost", with("verify-full", &ca)),
    ] {
        let opened = open(&url(host, &mode)).await;
        assert!(opened.is_ok(), "{host}, {mode}: {:?}", opened.map(drop));
        let encrypted = database.sql(
            "SELECT bool_and(ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE application_name = 'bookstore'",
        );
        assert_eq!(encrypted, if mode == "disable" { "f" } else { "t" }, "{mode}");
    }
    assert_refused(&url("127.0.0.1", &with("verify-full", &ca)), &["certificate"]).await;
    assert_refused(&url("localhost", &with("verify-full", &other)), &["certificate"]).await;
    assert_refused(&url("localhost", &with("verify-ca", &other)), &["certificate"]).await;
}
