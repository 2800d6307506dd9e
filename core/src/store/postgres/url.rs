//! Where a database is: a URL as `libpq` has it, with one host or several, and where the password is.

use percent_encoding::percent_decode_str;
use std::{fmt, fs, path::PathBuf, str::FromStr, time::Duration};
use tokio_postgres::{
    Config,
    config::{Host, SslMode},
};

use super::{StoreError, tls::Verify};

/// The URL of a PostgreSQL database: `postgres://USER@HOST:PORT/DATABASE`, or `postgresql://…`, with several `HOST:PORT` set apart by
/// commas if the database moves between them.
///
/// Of the parameters behind a `?` these matter most; the others are those of `tokio-postgres`:
///
/// | parameter | meaning |
/// |---|---|
/// | `sslmode` | `disable`, `prefer` (default), `require`, `verify-ca` or `verify-full`, as `libpq` has them |
/// | `sslrootcert` | a file of CA certificates (PEM); needed for the last two |
/// | `passfile` | a password file as `libpq` has it; nobody else may read it |
/// | `connect_timeout` | seconds to connect to a host: 1 to 60, 5 by default |
/// | `host` | a folder with a Unix socket, or a host |
///
/// Shown as text, it has no password.
///
/// ```
/// use bookstore_core::store::postgres::PostgresUrl;
///
/// let url: PostgresUrl = "postgres://shop:secret@db1:5432,db2:5432/shop?sslmode=disable".parse()?;
/// assert_eq!(url.to_string(), "postgres://shop@db1:5432,db2:5432/shop");
/// assert!("postgres://shop@db1/shop?sslmode=verify-full".parse::<PostgresUrl>().is_err(), "which CA?");
/// # Ok::<(), bookstore_core::store::StoreError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct PostgresUrl {
    /// With all of its hosts. Boxed, as it is much larger than the URLs of other stores.
    config: Box<Config>,
    pub(super) tls: Tls,
    passfile: Option<PathBuf>,
    pub(super) connect_timeout: Duration,
}

/// How a server is known to be the right one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tls {
    pub(super) verify: Verify,
    pub(super) root: Option<PathBuf>,
}

/// One host of a URL.
#[derive(Clone)]
pub(super) struct Target {
    pub(super) config: Config,
    /// For messages: `HOST:PORT`.
    pub(super) name: String,
}

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const CONNECT_TIMEOUT_MAX: u64 = 60;
/// The most hosts of a URL.
const HOSTS_MAX: usize = 16;

fn wrong<T>(why: impl fmt::Display) -> Result<T, StoreError> {
    Err(StoreError::Unusable(why.to_string()))
}

impl FromStr for PostgresUrl {
    type Err = StoreError;

    fn from_str(url: &str) -> Result<Self, StoreError> {
        let (base, query) = url.split_once('?').unwrap_or((url, ""));
        let (mut rest, mut passfile, mut root) = (Vec::new(), None, None);
        let (mut mode, mut connect_timeout) = ("prefer".to_owned(), CONNECT_TIMEOUT);
        for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            let value = percent_decode_str(value).decode_utf8_lossy().into_owned();
            match name {
                "sslmode" => mode = value,
                "sslrootcert" => root = Some(PathBuf::from(value)),
                "passfile" => passfile = Some(PathBuf::from(value)),
                "connect_timeout" => connect_timeout = timeout(&value)?,
                // The host that accepts writes is looked for in any case.
                "target_session_attrs"
                    if ["any", "read-write", "primary", "prefer-standby"].contains(&value.as_str()) => {}
                "target_session_attrs" => {
                    return wrong("a ledger needs a host that accepts writes: leave target_session_attrs out");
                }
                _ => rest.push(parameter),
            }
        }
        let (ssl_mode, verify) = match &mode[..] {
            "disable" => (SslMode::Disable, Verify::Nothing),
            "prefer" => (SslMode::Prefer, Verify::Nothing),
            "require" if root.is_none() => (SslMode::Require, Verify::Nothing),
            "require" | "verify-ca" => (SslMode::Require, Verify::Chain),
            "verify-full" => (SslMode::Require, Verify::ChainAndName),
            _ => return wrong(format!("sslmode={mode} is not disable, prefer, require, verify-ca or verify-full")),
        };
        if verify != Verify::Nothing && root.is_none() {
            return wrong(format!("sslmode={mode} needs the CA's certificate: add sslrootcert=FILE"));
        }
        let question = if rest.is_empty() { "" } else { "?" };
        let parsed = format!("{base}{question}{}", rest.join("&")).parse::<Config>();
        let mut config = parsed.map_err(|error| {
            let why = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
            StoreError::Unusable(format!(
                "it is not a PostgreSQL URL ({why}); it looks like postgres://USER@HOST:5432/DATABASE?sslmode=require"
            ))
        })?;
        if config.get_hosts().is_empty() {
            return wrong("the URL names no host; it looks like postgres://USER@HOST:5432/DATABASE");
        }
        if config.get_hosts().len() > HOSTS_MAX {
            return wrong(format!("the URL names more than {HOSTS_MAX} hosts"));
        }
        config.ssl_mode(ssl_mode).connect_timeout(connect_timeout);
        Ok(Self { config: Box::new(config), tls: Tls { verify, root }, passfile, connect_timeout })
    }
}

fn timeout(seconds: &str) -> Result<Duration, StoreError> {
    match seconds.parse() {
        Ok(seconds) if (1..=CONNECT_TIMEOUT_MAX).contains(&seconds) => Ok(Duration::from_secs(seconds)),
        _ => wrong(format!("connect_timeout is 1 to {CONNECT_TIMEOUT_MAX} seconds, not {seconds:?}")),
    }
}

impl PostgresUrl {
    /// The same with a password file, unless the URL has one, or a password, itself.
    #[must_use]
    pub fn or_passfile(mut self, file: PathBuf) -> Self {
        if self.config.get_password().is_none() {
            self.passfile.get_or_insert(file);
        }
        self
    }

    /// Each host by itself, with its password.
    ///
    /// # Errors
    /// The password file cannot be used.
    pub(super) fn targets(&self) -> Result<Vec<Target>, StoreError> {
        let lines = self.passfile.as_ref().map(read_passfile).transpose()?;
        let (ports, addresses) = (self.config.get_ports(), self.config.get_hostaddrs());
        let target = |(at, host): (usize, &Host)| {
            let port = *ports.get(at).or(ports.first()).unwrap_or(&5432);
            let mut config = self.without_hosts();
            let host = match host {
                Host::Tcp(name) => {
                    config.host(name);
                    name.clone()
                }
                #[cfg(unix)]
                Host::Unix(folder) => {
                    config.host_path(folder);
                    folder.display().to_string()
                }
            };
            config.port(port);
            addresses.get(at).map(|address| config.hostaddr(*address));
            if let Some(password) = lines.as_ref().and_then(|lines| password(lines, &host, port, &config)) {
                config.password(password);
            }
            Target { config, name: format!("{host}:{port}") }
        };
        Ok(self.config.get_hosts().iter().enumerate().map(target).collect())
    }

    fn without_hosts(&self) -> Config {
        let (from, mut to) = (&self.config, Config::new());
        from.get_user().map(|user| to.user(user));
        from.get_password().map(|password| to.password(password));
        from.get_dbname().map(|name| to.dbname(name));
        from.get_options().map(|options| to.options(options));
        from.get_tcp_user_timeout().map(|timeout| to.tcp_user_timeout(*timeout));
        from.get_keepalives_interval().map(|interval| to.keepalives_interval(interval));
        from.get_keepalives_retries().map(|retries| to.keepalives_retries(retries));
        to.ssl_mode(from.get_ssl_mode()).ssl_negotiation(from.get_ssl_negotiation());
        to.channel_binding(from.get_channel_binding()).connect_timeout(self.connect_timeout);
        to.keepalives(from.get_keepalives()).keepalives_idle(from.get_keepalives_idle());
        to.application_name(from.get_application_name().unwrap_or("bookstore"));
        to
    }
}

/// The lines of a password file that nobody else may read, as `libpq` wants it.
fn read_passfile(file: &PathBuf) -> Result<Vec<[String; 5]>, StoreError> {
    let failed = |error| StoreError::Unusable(format!("the password file {}: {error}", file.display()));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        if fs::metadata(file).map_err(failed)?.permissions().mode() & 0o077 != 0 {
            return wrong(format!("the password file {0} may be read by others: chmod 600 {0}", file.display()));
        }
    }
    let text = fs::read_to_string(file).map_err(failed)?;
    Ok(text.lines().filter(|line| !line.starts_with('#')).filter_map(fields).collect())
}

/// The five fields of a line, where a backslash stands before a colon or a backslash that is meant.
fn fields(line: &str) -> Option<[String; 5]> {
    let mut fields = vec![String::new()];
    let mut letters = line.chars();
    while let Some(letter) = letters.next() {
        match letter {
            ':' if fields.len() < 5 => fields.push(String::new()),
            '\\' => fields.last_mut()?.extend(letters.next()),
            letter => fields.last_mut()?.push(letter),
        }
    }
    fields.try_into().ok()
}

/// The password of the first line that fits.
fn password(lines: &[[String; 5]], host: &str, port: u16, config: &Config) -> Option<String> {
    let user = config.get_user().unwrap_or_default();
    let database = config.get_dbname().unwrap_or(user);
    let port = port.to_string();
    let host = if host.starts_with('/') { ["localhost", host] } else { [host, host] };
    let fits = |field: &str, value: &str| field == "*" || field == value;
    let line = lines.iter().find(|[of_host, of_port, of_database, of_user, _]| {
        host.iter().any(|host| fits(of_host, host))
            && fits(of_port, &port)
            && fits(of_database, database)
            && fits(of_user, user)
    })?;
    Some(line[4].clone())
}

impl fmt::Display for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ports = self.config.get_ports();
        f.write_str("postgres://")?;
        if let Some(user) = self.config.get_user() {
            write!(f, "{user}@")?;
        }
        for (at, host) in self.config.get_hosts().iter().enumerate() {
            let port = ports.get(at).or(ports.first()).unwrap_or(&5432);
            f.write_str(if at == 0 { "" } else { "," })?;
            match host {
                Host::Tcp(name) if name.contains(':') => write!(f, "[{name}]:{port}")?,
                Host::Tcp(name) => write!(f, "{name}:{port}")?,
                #[cfg(unix)]
                Host::Unix(folder) => write!(f, "{}:{port}", folder.display())?,
            }
        }
        write!(f, "/{}", self.config.get_dbname().or(self.config.get_user()).unwrap_or_default())
    }
}

impl fmt::Debug for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PostgresUrl({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_that_of_the_first_line_that_fits() {
        let lines = [r"db1:5432:shop:shop:one", r"*:5433:*:shop:two\:\\2", r"localhost:*:*:*:three"];
        let lines: Vec<_> = lines.into_iter().filter_map(fields).collect();
        let of = |url: &str| {
            let url: PostgresUrl = url.parse().expect("a URL");
            let Target { config, name } = &url.targets().expect("no file")[0];
            let (host, port) = name.rsplit_once(':').expect("both");
            password(&lines, host, port.parse().expect("a port"), config)
        };
        assert_eq!(of("postgres://shop@db1/shop").as_deref(), Some("one"));
        assert_eq!(of("postgresql://shop@db1:5433/other").as_deref(), Some(r"two:\2"));
        assert_eq!(of("postgres://me@/shop?host=/run/postgresql").as_deref(), Some("three"));
        assert_eq!(of("postgres://shop@db1/other"), None);
    }

    #[test]
    fn a_url_that_cannot_work_says_why() {
        for (url, why) in [
            ("postgres://shop@db1/shop?sslmode=strict", "verify-full"),
            ("postgres://shop@db1/shop?sslmode=verify-ca", "sslrootcert"),
            ("postgres://shop@db1/shop?connect_timeout=0", "1 to 60 seconds"),
            ("postgres://shop@db1/shop?target_session_attrs=read-only", "accepts writes"),
            ("postgres://shop@db1/shop?nonsense=1", "nonsense"),
            ("postgres://shop@db1:port/shop", "port"),
            ("postgres:///shop", "names no host"),
        ] {
            let error = url.parse::<PostgresUrl>().expect_err(url).to_string();
            assert!(error.contains(why), "{url}: {error}");
        }
    }

    #[test]
    fn several_hosts_are_several_targets() {
        let url: PostgresUrl = "postgres://shop:secret@db1:5432,[::1]:5433/shop".parse().expect("a URL");
        let names: Vec<_> = url.targets().expect("no file").into_iter().map(|target| target.name).collect();
        assert_eq!(names, ["db1:5432", "::1:5433"]);
        assert_eq!(format!("{url:?}"), "PostgresUrl(postgres://shop@db1:5432,[::1]:5433/shop)");
    }
}
