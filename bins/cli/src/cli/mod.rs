//! The arguments of every command. Their values are checked in [`crate::config`].

mod files;
mod relay;
mod servers;
mod shop;
mod token;

use bookstore_cli::load::Mix;
use bookstore_core::BookId;
use clap::{Args, Parser, Subcommand, builder::Styles, builder::styling::AnsiColor};
use std::path::PathBuf;

pub(crate) use files::{
    AuditArgs, BackupArgs, ExportArgs, Exported, HeadArgs, ImportArgs, MigrateArgs, OnError, PromoteArgs, RestoreArgs,
    TakeOverArgs,
};
pub(crate) use relay::{BeginArg, RelayArgs};
pub(crate) use servers::{
    AckArg, CatalogArgs, ContactArg, ContactsArgs, FrontendArgs, InternalArgs, MonolithArgs, OrderArgs, PublicArgs,
    ServeArgs,
};
pub(crate) use shop::{
    AddArgs, AdminArgs, BestSellersArgs, BuyArgs, CancelArgs, ChangeArgs, ContactOrderArgs, EditArgs, EditedFields,
    HoldArgs, InfoArgs, OrdersArgs, PriceArgs, RestockArgs, ReturnArgs, SaleArgs, SearchArgs, ShopArgs,
};
pub(crate) use token::{TokenArgs, TokenCommand, TokensFileArgs};

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().bold())
    .usage(AnsiColor::Green.on_default().bold())
    .literal(AnsiColor::Cyan.on_default().bold())
    .placeholder(AnsiColor::Cyan.on_default());

const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  refused, or a check failed (out of stock, no such book, a broken line, a broken promise)
  2  wrong usage or configuration; nothing was started
  3  outcome unknown: it may have happened; run it again with the same --order-id
  4  not executed: no server could be reached or it was too busy; safe to run again

Every flag is also an environment variable, --admin-token-file for example BOOKSTORE_ADMIN_TOKEN_FILE.";

/// A bookstore that never oversells, never loses an order and never doubles one.
///
/// Without a command it runs the whole shop in this process: http://127.0.0.1:8080, data in ./bookstore.db,
/// with a sample catalogue if there are no books yet.
#[derive(Debug, Parser)]
#[command(name = "bookstore", version, styles = STYLES, max_term_width = 100, after_long_help = EXIT_CODES)]
#[command(after_help = "Exit codes, and environment variables: see --help. Examples: see bookstore COMMAND --help.")]
pub(crate) struct Cli {
    /// The command
    #[command(subcommand)]
    pub(crate) command: Command,

    /// What to log to stderr: warn, info, bookstore_core=debug, …
    #[arg(long, global = true, value_name = "FILTER", help_heading = "Logging")]
    pub(crate) log: Option<String>,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the whole shop in one process (the default)
    #[command(after_help = "\
Examples:
  bookstore monolith
  bookstore monolith --listen 127.0.0.1:9000 --store sqlite:/var/lib/bookstore/shop.db
  bookstore monolith --admin-token-file admin.token --no-sample")]
    Monolith(MonolithArgs),
    /// Run a catalog server: it owns the books and the ledger
    #[command(after_help = "\
Examples:
  bookstore catalog
  bookstore catalog --listen 127.0.0.1:8081 --store sqlite:catalog.db --sample
  PGPASSFILE=shop.pgpass bookstore catalog --store 'postgres://shop@db1,db2/shop?sslmode=verify-full&sslrootcert=ca.pem'")]
    Catalog(CatalogArgs),
    /// Read an order; or, with --catalog, run an order server
    #[command(
        override_usage = "bookstore order ORDER_ID [--server URL] [--json]\n       \
                          bookstore order --catalog URL [--listen ADDR] [--store URL] [OPTIONS]",
        after_help = "\
Examples:
  bookstore order 0198c5a0-7d5e-7c31-9a43-3f2b6a1d0e55
  bookstore order --catalog http://127.0.0.1:8081 --store sqlite:orders.db
  bookstore order --catalog http://127.0.0.1:8081 --store sqlite:orders-2.db --listen 127.0.0.1:8083"
    )]
    Order(OrderArgs),
    /// Run a frontend: web pages and the public interface
    #[command(after_help = "\
Examples:
  bookstore frontend --catalog http://127.0.0.1:8081 --order http://127.0.0.1:8082
  bookstore frontend --catalog http://127.0.0.1:8081 \\
                     --order http://127.0.0.1:8082,http://127.0.0.1:8083")]
    Frontend(FrontendArgs),
    /// Add the books of a file: .csv, .tsv, .txt, .jsonl or .jsonl.gz
    #[command(after_help = "\
A table has a header line; commas, semicolons, tabs or bars stand between its columns. JSON lines have the same names; \
subjects is a list there. Title, topic, price and stock must be in the file, or be given with --default-topic, --default-stock or \
--fill-in. There may be authors and subjects (separated by semicolons), isbn, year, subtitle, sku, condition, publisher, language, \
format and description. The columns of Goodreads, LibraryThing, AbeBooks, \
Shopify, WooCommerce and Square exports are understood; --map names others. A column that is not used is refused unless \
--ignore-columns says that it may be left out.

A line whose book is in the catalog already, by its article number (sku), its ISBN, or else by title, author and year, is compared with it. If text, price \
or stock differ, the line is named and the book is kept as it is; --update sets its text, price and stock. So an import that was cut off is \
simply run again. Of several lines of one book the first counts, and the others are named. The exit code is 1 if a line was not taken.

A file with columns named price_cents and on_sale is an export of a shop: its texts are read as they are, and a book that is off sale is \
withdrawn. Of any other file, texts are tidied up: Roe, Ada becomes Ada Roe.

--fill-in derives a price or stock from the book's identity, always the same: with h its 64-bit FNV-1a hash, \
price_cents = 499 + 100 * (h mod 60) and stock = 1 + (h >> 32) mod 40.

Examples:
  bookstore import books.csv --dry-run
  bookstore import books.jsonl.gz --fill-in --ignore-columns
  bookstore import export.txt --map topic=Shelf --default-stock 1 --decimal-comma
  bookstore import books.csv --store sqlite:shop.db --on-error skip
  bookstore import books.csv --server http://127.0.0.1:8080 --admin-token-file admin.token")]
    Import(ImportArgs),
    /// Write all books or orders to a file, as CSV or JSON lines
    #[command(after_help = "\
Books are written by their numbers with all that the shop knows of them, those that are off sale, too. bookstore import reads them as they \
are, by their columns price_cents and on_sale: a new shop becomes equal, and in the same shop every line is unchanged. Several authors or \
subjects have '; ' between them; a semicolon within a subject is doubled. Nothing is changed that a spreadsheet would run as a formula.

Orders are written newest first with today's titles: one line for each line of an order as CSV, one object for each order as JSON lines. \
Who they are for is left out unless --contacts.

A store is read as of one moment, also beside its server; a running shop goes on selling meanwhile. FILE gets its name when it is whole. \
The exit code is not 0 if the export was cut off.

Examples:
  bookstore export books > books.csv
  bookstore export books --output books.jsonl --store sqlite:shop.db
  bookstore export orders --output orders.csv --server http://127.0.0.1:8080 --admin-token-file admin.token
  bookstore export orders --jsonl --contacts | gzip > orders.jsonl.gz")]
    Export(ExportArgs),
    /// Find books by words, topic, or both
    #[command(after_help = "\
Examples:
  bookstore search history music
  bookstore search --topic 'distributed systems' --sort price
  bookstore search garden --json | jq '.books[].title'")]
    Search(SearchArgs),
    /// List the books of which most copies were sold
    #[command(
        name = "bestsellers",
        after_help = "\
Copies that came back are counted back on the day when they did. For the best sellers of a topic or an author:
  bookstore search --topic Science --sold 30 --sort best_selling

Example:
  bookstore bestsellers --days 30"
    )]
    BestSellers(BestSellersArgs),
    /// List the topics
    #[command(after_help = "Example:\n  bookstore topics")]
    Topics(ShopArgs),
    /// Show one book
    #[command(after_help = "Example:\n  bookstore info 1")]
    Info(InfoArgs),
    /// Buy copies of a book, once
    #[command(after_help = "\
The order id makes a purchase happen once, however often it is sent. Without --order-id a new one is made; if the \
outcome stays unknown, the command to run again is printed.

Examples:
  bookstore buy 3
  bookstore buy 3 --quantity 2 --contact-email ada@example.org
  bookstore buy 3 --order-id 0198c5a0-7d5e-7c31-9a43-3f2b6a1d0e55")]
    Buy(BuyArgs),
    /// Set copies aside for a while without buying them
    #[command(after_help = "\
With a token the shop holds them: then only the shop confirms the order. Without one they are the buyer's to confirm, where the shop \
allows it (--public-holds).

Examples:
  bookstore hold 3 --seconds 600 --reference 'payment 17' --admin-token-file admin.token
  bookstore confirm 0198c5a0-7d5e-7c31-9a43-3f2b6a1d0e55 --admin-token-file admin.token")]
    Hold(HoldArgs),
    /// Place a held order
    #[command(after_help = "Example:\n  bookstore confirm 0198c5a0-7d5e-7c31-9a43-3f2b6a1d0e55")]
    Confirm(ChangeArgs),
    /// Note that an order was handed over (admin)
    #[command(
        after_help = "Example:\n  bookstore fulfil 0198c5a0-7d5e-7c31-9a43-3f2b6a1d0e55 --admin-token-file admin.token"
    )]
    Fulfil(ChangeArgs),
    /// Put some copies of an order into stock again (admin)
    #[command(
        name = "return",
        after_help = "Example:\n  bookstore return 0198c5a0-7d5e-7c31-9a43-3f2b6a1d0e55 3 --quantity 1 --admin-token-file admin.token"
    )]
    Return(ReturnArgs),
    /// Show who an order is for, or change it
    #[command(after_help = "\
With --contact-name and the like it replaces the whole contact. While the order is open its id is enough; later the shop's token is \
needed. A contact that was erased does not come back.

Examples:
  bookstore contact 0198c5a0-7d5e-7c31-9a43-3f2b6a1d0e55
  bookstore contact 0198c5a0-7d5e-7c31-9a43-3f2b6a1d0e55 --contact-name 'Ada Roe' --contact-email ada@example.org")]
    Contact(ContactOrderArgs),
    /// Erase for good who an order is for
    #[command(after_help = "\
What it said is nowhere in the shop's files any more; that it was erased, when and by whom is in the ledger. Backups made before still \
have it.

Examples:
  bookstore erase-contact 0198c5a0-7d5e-7c31-9a43-3f2b6a1d0e55
  bookstore erase-contact 0198c5a0-7d5e-7c31-9a43-3f2b6a1d0e55 --admin-token-file admin.token")]
    EraseContact(ChangeArgs),
    /// Cancel an order; its copies go back into stock
    #[command(after_help = "\
Examples:
  bookstore cancel 0198c5a0-7d5e-7c31-9a43-3f2b6a1d0e55
  bookstore cancel 0198c5a0-7d5e-7c31-9a43-3f2b6a1d0e55 --void")]
    Cancel(CancelArgs),
    /// List the orders, newest first (admin)
    #[command(after_help = "\
Examples:
  bookstore orders --admin-token-file admin.token
  bookstore orders --reference 'payment 17' --admin-token-file admin.token
  bookstore orders --status held --book 3 --from 2026-01-01 --to 2026-02-01 --admin-token-file admin.token")]
    Orders(OrdersArgs),
    /// Add copies of a book, or take some away (admin)
    #[command(after_help = "\
Examples:
  bookstore restock 3 50 --admin-token-file admin.token
  bookstore restock 3 -2 --admin-token-file admin.token")]
    Restock(RestockArgs),
    /// Set a book's price (admin)
    #[command(after_help = "\
A price of 0, or one that changes by more than a factor of 5, may be a slip: it is shown beside the one before, and set only with --yes.

Example:\n  bookstore price 3 19.99 --admin-token-file admin.token")]
    Price(PriceArgs),
    /// Correct a book's text: its title, authors, topic, ISBN and so on (admin)
    #[command(
        override_usage = "bookstore edit <ID> --title <TITLE>|--author … [OPTIONS]",
        after_help = "\
What is not given stays as it is. If somebody else changes the text meanwhile, nothing is changed; sales do not matter.

Examples:
  bookstore edit 3 --title 'One Hundred Years of Solitude' --admin-token-file admin.token
  bookstore edit 3 --isbn 978-0-306-40615-7 --subject novels --subject Colombia --admin-token-file admin.token"
    )]
    Edit(EditArgs),
    /// Take a book off sale: it is in no list and cannot be bought; its orders stay (admin)
    #[command(after_help = "Example:\n  bookstore withdraw 3 --admin-token-file admin.token")]
    Withdraw(SaleArgs),
    /// Put a withdrawn book on sale again (admin)
    #[command(after_help = "Example:\n  bookstore relist 3 --admin-token-file admin.token")]
    Relist(SaleArgs),
    /// Add one new book (admin)
    #[command(after_help = "\
Example:
  bookstore add --title 'Ledgers' --author 'Ada Roe' --topic 'distributed systems' \\
                --price 29.99 --stock 10 --admin-token-file admin.token")]
    Add(AddArgs),
    /// Load a running shop, print percentiles, and check afterwards that every promise was kept
    #[command(after_help = "\
Mixes, --mix:
  browsing, shopping, ordering  those of TPC-W, the bookstore benchmark; the report lists the shares
  even                          a search, a look at a book and a purchase, each a third
  p=CHANCE                      look at a book, then buy it with this chance
  race                          all clients buy one book, copy by copy, until it is sold out

Without --rate each client sends a request, waits for the answer and sends the next (a closed loop).
With it requests arrive evenly, and latency counts from when a request was due, so that stalls are
not hidden.

A load buys books, and these orders stay in the shop. Afterwards every order is read back; with the
admin token the whole ledger is replayed, too. Exits with 1 if a promise is broken, with 3 if not
everything could be checked.

Examples:
  bookstore load --mix p=0.2 --clients 16
  bookstore load --mix shopping --rate 2000 --duration 60 --report load.html
  bookstore load --mix race --copies 500 --clients 200 --admin-token-file admin.token
  bookstore load --mix ordering --stock 1000000 --admin-token-file admin.token --json")]
    Load(LoadArgs),
    /// Measure the deployments on this machine, and write a report with charts and tables
    #[command(after_help = "\
Starts one process, then three servers, then two frontends and two order servers over one catalog,
on loopback, with their stores in a folder that is removed at the end, and answers:

  1. How long do search, info and purchase take as the number of clients grows?
  2. In which tier is the time spent?
  3. What does a larger share of purchases cost?
  4. What does a frontend's cache save, what does it cost, and how stale is it?
  5. What do clients see when an order server is killed?

After every load the promises are checked. Exits with 1 if one is broken, with 3 if not everything
could be checked. Ctrl-C ends the servers, too.

Examples:
  bookstore lab
  bookstore lab --quick --report quick.html
  bookstore lab --directory /mnt/disk --json > lab.json")]
    Lab(LabArgs),
    /// Prove from the ledger that nothing was oversold, lost or doubled
    #[command(after_help = "\
Reads only, and may run beside a server. Exits with 1 if any promise is broken.

Of servers, given by their addresses, the hashes are compared first: the same hash means the same entries. Then the catalog's entries are
read and replayed.

Examples:
  bookstore audit --store sqlite:bookstore.db
  bookstore audit --store sqlite:catalog.db --copy sqlite:orders.db --copy sqlite:orders-2.db
  bookstore audit --store postgres://shop@db1,db2/shop
  bookstore audit --store http://10.0.0.1:7001 --copy http://10.0.0.2:7002 --server-token-file server.token")]
    Audit(AuditArgs),
    /// Show up to which entry a ledger goes, with the hash of its history; sign that, and check it later
    #[command(after_help = "\
Whoever has a signed head can prove later that the ledger was changed or lost entries. A buyer who keeps one that was signed after \
the purchase can have an auditor check that the order was in the ledger.

Examples:
  (umask 077; openssl genpkey -algorithm ed25519 -out head.key)
  openssl pkey -in head.key -pubout -out head.pub
  bookstore head --sign head.key > head.json
  bookstore head --verify head.json --key head.pub
  bookstore head --verify head.json --key head.pub --order 0198c5a0-7d5e-7c31-9a43-3f2b6a1d0e55")]
    Head(HeadArgs),
    /// Bring a store up to date, or make the tables of a database, before a server opens it
    #[command(after_help = "\
A server does the same when it starts. A database of a newer program is refused. In PostgreSQL the
tables are in a schema of their own, bookstore; the user needs to own it, or CREATE on the database.

Example:
  bookstore migrate --store postgres://shop@db1,db2/shop")]
    Migrate(MigrateArgs),
    /// Write a consistent copy of a store to a new file
    #[command(after_help = "\
May run beside a server. An existing file is never overwritten.

Example:
  bookstore backup shop-2026-08-01.db --store sqlite:bookstore.db")]
    Backup(BackupArgs),
    /// Go back to a backup, or make a ledger of its own of it
    #[command(after_help = "\
Without --replace the backup becomes another ledger in a new file, for tests and drills: no server of the shop takes it for the real
one. With --replace it takes the place of the store, which no server may have open; what was there is kept beside it, as
PATH.replaced-1. A new timeline begins, by which order servers and frontends know that the shop went back: they follow, and set aside
the orders that the ledger does not have any more. Moving a file into place does none of this, and is refused by order servers.

Examples:
  bookstore restore shop-2026-08-01.db --store sqlite:drill.db
  bookstore restore shop-2026-08-01.db --store sqlite:bookstore.db --replace")]
    Restore(RestoreArgs),
    /// Make a ledger of an order server's copy, after the catalog's disk is lost
    #[command(after_help = "\
Give every copy that is left. The one that has followed furthest becomes the ledger in a new file, under a new timeline, and is itself
left as it is. A copy that cannot be read ends the command: leave it out only if it is lost, too. The old catalog must be stopped; if it
comes back, it stops selling at the first call of a server that has seen the new timeline.

What is lost: with --ack copied nothing that was acknowledged, otherwise what that copy had not followed yet. Orders that another copy
or the old ledger has and the new one does not are set aside when that copy follows: bookstore audit names them.

Then start a catalog over the new store, at the old address or at one that the other servers know, and audit.

Examples:
  bookstore promote --copy http://10.0.0.2:7002 http://10.0.0.3:7002 --server-token-file server.token --store sqlite:catalog.db
  bookstore promote --copy sqlite:orders.db --store sqlite:catalog.db")]
    Promote(PromoteArgs),
    /// Buy the orders again that a copy has set aside
    #[command(
        name = "take-over",
        after_help = "\
After a restore or a promotion, copies set aside the orders that the ledger does not have any more. Each of them that was not cancelled
is bought again, under its own order id, with the same lines, and only at the price that its buyer saw. So none is bought twice,
however often this is run, and nothing is oversold. Orders that cannot be bought, as a book is sold out or has another price, are named;
exits with 1 then. Runs beside the servers.

Examples:
  bookstore take-over --copy sqlite:orders.db --dry-run
  bookstore take-over --copy sqlite:orders.db --server http://127.0.0.1:8080"
    )]
    TakeOver(TakeOverArgs),
    /// Make, list and revoke named tokens
    #[command(after_help = "\
A server with --tokens-file accepts these tokens, each as far as its role goes: read reads orders and entries, stock also changes
prices and stock and adds books, admin may do everything. The file has their hashes only. SIGHUP makes a server read it again.

Examples:
  bookstore token new till-2 --role stock --tokens-file tokens > till-2.token
  bookstore token list --tokens-file tokens
  bookstore token revoke till-2 --tokens-file tokens && systemctl reload bookstore")]
    Token(TokenArgs),
    /// Send what happens in the shop to another program, as signed webhooks
    #[command(after_help = "\
Sends an HTTP POST for every entry of the ledger: order.placed, order.held, order.confirmed, order.extended, order.lapsed,
order.fulfilled, order.cancelled, order.returned, order.voided, order.contact_erased, book.added, book.revised, book.withdrawn, book.relisted, stock.changed,
price.changed, ledger.timeline; and ledger.rewound, when the shop went back to a backup. In the ledger's order, each again and again until it is
answered with 2xx, so a receiver gets every event at least once; the same event has the same webhook-id. Signed as Standard Webhooks
1.0 says. An event that is not taken is tried for ever, at first after 0.1, at last every 300 seconds.

The receiver should answer within 15 seconds, check the signature, and ignore an id that it has seen. --state holds the place in the
ledger: keep it, and give each receiver one of its own. To replace the secret, put both into the file and restart, then remove the old.

Examples:
  (umask 077; echo \"whsec_$(head -c 32 /dev/urandom | base64)\" > webhook.secret)
  bookstore token new relay --role read --tokens-file tokens > relay.token
  bookstore relay --to http://127.0.0.1:9000/hooks --secret-file webhook.secret --admin-token-file relay.token
  bookstore relay --to http://127.0.0.1:9000/hooks --secret-file webhook.secret --types order.placed,order.cancelled \\
                  --catalog http://127.0.0.1:8081 --server-token-file server.token --metrics-listen 127.0.0.1:9001")]
    Relay(RelayArgs),
}

/// `bookstore lab`
#[derive(Debug, Args)]
pub(crate) struct LabArgs {
    /// Answer all questions in less than a minute, for an impression, instead of about four minutes
    #[arg(long)]
    pub(crate) quick: bool,
    /// File of the report
    #[arg(long, value_name = "FILE.html", default_value = "lab.html")]
    pub(crate) report: PathBuf,
    /// Folder in which the servers' stores are created [default: the system's temporary folder]
    #[arg(long, value_name = "DIR")]
    pub(crate) directory: Option<PathBuf>,
    /// Seed of the clients' choices
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) seed: u64,
    /// Print the result as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// `bookstore load`
#[derive(Debug, Args)]
pub(crate) struct LoadArgs {
    /// The shop's frontends; clients are spread over them
    #[arg(long, value_name = "URL", value_delimiter = ',', default_value = "http://127.0.0.1:8080")]
    pub(crate) server: Vec<String>,
    /// What clients do: browsing, shopping, ordering, even, race, or p=CHANCE
    #[arg(long, default_value = "shopping")]
    pub(crate) mix: Mix,
    /// Clients, each with a connection of its own, at most 10000
    #[arg(long, value_name = "N", default_value_t = 64)]
    pub(crate) clients: usize,
    /// Requests a second, whether or not the shop keeps up: an open loop
    #[arg(long, value_name = "R")]
    pub(crate) rate: Option<f64>,
    /// Seconds to measure
    #[arg(long, value_name = "SECONDS", default_value_t = 10)]
    pub(crate) duration: u64,
    /// Seconds of load before that, not measured
    #[arg(long, value_name = "SECONDS", default_value_t = 2)]
    pub(crate) warmup: u64,
    /// Seed of the clients' choices
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) seed: u64,
    /// Zipf's exponent of the books' popularity; with 0 all are alike
    #[arg(long, value_name = "S", default_value_t = 0.99)]
    pub(crate) skew: f64,
    /// The part of purchases that are sent again, as by buyers who lost the answer, 0 to 1
    #[arg(long, value_name = "PART", default_value_t = 0.01)]
    pub(crate) again: f64,
    /// Seconds to keep trying a purchase that gets no answer
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    pub(crate) timeout: u64,
    /// Race for this book and the stock that it has
    #[arg(long, value_name = "ID")]
    pub(crate) book: Option<BookId>,
    /// Race for a new book with this many copies [default: 1000] (admin)
    #[arg(long, value_name = "N")]
    pub(crate) copies: Option<u32>,
    /// Before the start, add copies until each book has this many (admin)
    #[arg(long, value_name = "N")]
    pub(crate) stock: Option<u32>,
    /// File with the shop's admin token
    #[arg(long, value_name = "FILE")]
    pub(crate) admin_token_file: Option<PathBuf>,
    /// Allow sending the admin token in plain text beyond this machine
    #[arg(long)]
    pub(crate) insecure: bool,
    /// Print the result as JSON
    #[arg(long)]
    pub(crate) json: bool,
    /// Write a report with charts to this file
    #[arg(long, value_name = "FILE.html")]
    pub(crate) report: Option<PathBuf>,
}
