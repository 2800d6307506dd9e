//! `bookstore import`: adds the books of a file to a store or a running shop, and says what becomes of each of its lines.

mod compare;
mod counts;
mod importer;
mod reading;

use bookstore::{
    AccessToken, Bookstore, ConnectOptions, OpenError, OpenOptions, StoreUrl,
    import::{self, Books, ImportOptions},
};
use bookstore_cli::load::counted;
use bookstore_core::{
    Currency,
    store::{StoreError, postgres},
};
use std::{
    path::Path,
    process::ExitCode,
    time::{Duration, Instant},
};

use self::{counts::Counts, importer::Importer, reading::Reading};
use super::{Failure, REFUSED, one_place};
use crate::{
    cli::{ImportArgs, OnError},
    config,
};

/// How long one call is tried.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Runs the command.
pub(super) async fn run(args: ImportArgs) -> Result<ExitCode, Failure> {
    let target = target(&args)?;
    // A store that is not there yet is made only when the file was checked.
    let there = if target.is_missing() { None } else { Some(target.open(args.currency).await?) };
    let checked = match &there {
        Some(shop) => currency(shop, &args).await,
        None => Ok(args.currency.unwrap_or_default()),
    };
    let checked = checked.and_then(|currency| {
        check_file(&args, currency)?;
        Ok(currency)
    });
    let shop = match (there, &checked) {
        (None, Ok(_)) if !args.dry_run => Some(target.open(args.currency).await?),
        (there, _) => there,
    };
    let imported = match checked {
        Ok(currency) => import_into(shop.as_ref(), &args, currency).await,
        Err(failure) => Err(failure),
    };
    if let Some(shop) = shop {
        shop.close().await;
    }
    imported
}

/// The currency of a shop, which is the one that the flag says.
async fn currency(shop: &Bookstore, args: &ImportArgs) -> Result<Currency, Failure> {
    let currency = shop.currency().await?;
    match args.currency.filter(|asked| *asked != currency) {
        Some(asked) => Err(Failure::Failed(format!(
            "the shop's amounts are in {currency}, not in {asked}; a shop keeps its currency, so leave --currency out"
        ))),
        None => Ok(currency),
    }
}

/// Refuses a file with broken lines, unless they may be skipped, and one that cannot be read at all.
fn check_file(args: &ImportArgs, currency: Currency) -> Result<(), Failure> {
    let (options, mut counts) = (args.options(currency), Counts::default());
    if args.on_error == OnError::Stop {
        let readable = check(&args.file, &options, &mut counts)?;
        if counts.broken > 0 {
            let hint = if readable {
                "nothing was imported; mend the file, or leave broken lines out with --on-error skip"
            } else {
                "nothing was imported"
            };
            let broken = counted(counts.broken, "line is", "lines are");
            if args.json {
                counts.print(true, args.dry_run, Duration::ZERO);
            }
            return Err(Failure::Failed(format!("{broken} broken in {}: {hint}", args.file.display())));
        }
    }
    if let Some(Err(unusable)) = open(&args.file, &options, |_| ())?.next()
        && unusable.last
    {
        return Err(Failure::Failed(format!("{}: {unusable}; nothing was imported", args.file.display())));
    }
    Ok(())
}

/// Imports a file that was checked.
async fn import_into(shop: Option<&Bookstore>, args: &ImportArgs, currency: Currency) -> Result<ExitCode, Failure> {
    let (mut counts, started) = (Counts::default(), Instant::now());
    let done = import(shop, args, currency, &mut counts).await;
    counts.print(args.json, args.dry_run, started.elapsed());
    done?;
    Ok(if counts.broken + counts.conflicting > 0 { REFUSED } else { ExitCode::SUCCESS })
}

/// Where the books go.
enum Target {
    Store(StoreUrl),
    Shop { servers: String, token: AccessToken },
}

fn target(args: &ImportArgs) -> Result<Target, Failure> {
    one_place(args.store.as_deref(), &args.server)?;
    if args.server.is_empty() {
        let store = config::store("--store", args.store.as_deref().unwrap_or("sqlite:bookstore.db"))?;
        return Ok(Target::Store(store));
    }
    let servers = config::servers("--server", &args.server)?;
    let token = config::admin_token_for(args.admin_token_file.as_deref(), &servers, args.insecure)?;
    Ok(Target::Shop { servers: servers.join(","), token })
}

impl Target {
    /// Whether it is a store that nobody has made yet.
    fn is_missing(&self) -> bool {
        match self {
            Self::Store(StoreUrl::Sqlite(path)) => !path.exists(),
            Self::Store(StoreUrl::Postgres(_) | StoreUrl::Memory) | Self::Shop { .. } => false,
        }
    }

    async fn open(&self, currency: Option<Currency>) -> Result<Bookstore, Failure> {
        let opened = match self {
            Self::Shop { servers, token } => {
                let options = ConnectOptions { admin_token: Some(token.clone()), timeout: TIMEOUT };
                return Ok(Bookstore::connect_with(servers, options)?);
            }
            Self::Store(store) => {
                refuse_in_use(store).await?;
                Bookstore::open_store(store.clone(), OpenOptions { currency }).await
            }
        };
        let shop = opened.map_err(|error| match error {
            OpenError::Store(error @ StoreError::InUse(_)) => {
                Failure::Failed(format!("{error}\nto import into a running shop: --server URL --admin-token-file FILE"))
            }
            other => other.into(),
        })?;
        Ok(shop.with_timeout(TIMEOUT))
    }
}

/// Opening a database takes it over from its catalog, which would sell nothing any more.
async fn refuse_in_use(store: &StoreUrl) -> Result<(), Failure> {
    match store {
        StoreUrl::Postgres(url) if postgres::is_in_use(url).await? => Err(Failure::Failed(format!(
            "a catalog has {url} open\nto import into a running shop: --server URL --admin-token-file FILE"
        ))),
        _ => Ok(()),
    }
}

fn open(file: &Path, options: &ImportOptions, read: impl FnMut(usize) + 'static) -> Result<Books<'static>, Failure> {
    import::open(file, options, read).map_err(|error| Failure::Usage(format!("{}: {error}", file.display())))
}

/// Reads the whole file once without adding anything. False if it cannot be read to its end.
fn check(file: &Path, options: &ImportOptions, counts: &mut Counts) -> Result<bool, Failure> {
    let (mut readable, mut reading) = (true, Reading::start("Checking:", file));
    for line in open(file, options, reading.counter())? {
        reading.line(counts.books);
        match line {
            Ok(_) => counts.books += 1,
            Err(broken) => {
                readable = !broken.last;
                counts.broken(&broken, &reading.progress);
            }
        }
    }
    Ok(readable)
}

async fn import(
    shop: Option<&Bookstore>,
    args: &ImportArgs,
    currency: Currency,
    counts: &mut Counts,
) -> Result<(), Failure> {
    let mut reading = Reading::start("Importing:", &args.file);
    let mut importer = Importer::new(shop, args, currency).await?;
    for line in open(&args.file, &args.options(currency), reading.counter())? {
        match line {
            Ok(line) => {
                counts.books += 1;
                importer.take(line, counts, &reading.progress).await?;
            }
            Err(broken) if args.on_error == OnError::Skip => counts.broken(&broken, &reading.progress),
            Err(broken) => {
                // No line was broken when it was checked.
                return Err(Failure::Failed(format!("{} changed while it was read: {broken}", args.file.display())));
            }
        }
        reading.line(counts.books);
    }
    importer.finish(counts, &reading.progress).await
}
