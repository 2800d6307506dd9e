//! The page: its text is here, its figures are in `results.json`.

use bookstore_benches::{Result, environment::Environment, samples::format_number};
use std::{fmt::Write as _, fs, path::Path};

use super::{
    plots,
    report::{Chart, Results, Section, Table, Target},
};

/// In the page's order: a section's name, its title, and how it is measured.
const SECTIONS: [(&str, &str, &str); 7] = [
    (
        "in-process",
        "In process",
        "Purchases through `OrderService` on SQLite, every acknowledged one flushed, wired as the executable wires the shop in one \
         process, and with its allocator. The buyers' runtime has a worker thread for each processor but one, as the project's README advises. The **raw ceiling** is the same ledger's rows, into the same tables, by the same prepared statements of 64 rows in \
         transactions of 4,096, WAL, `synchronous=FULL`, with ids and texts drawn before and nothing else done: no check of \
         stock, no queue, no answer. Ceiling and shop alternate; a share is of the ceiling just before it.",
    ),
    (
        "http",
        "Over HTTP, one server",
        "The executable, a bare hyper server and the load generator are three processes on the same cores; the generator is the same \
         for both servers: 256 keep-alive connections, each with one request at a time and a fresh version 7 `Idempotency-Key` for \
         every purchase. The bare server parses the same request (method, path, key, JSON body) and gives the same answer, but \
         stores nothing; it has the same allocator. Its answer for a book is the shop's answer for that book, recorded before and \
         kept in memory. It runs as tokio starts it by itself, in one runtime over all processors; shares and targets refer to \
         that. Its second column is the same server with a thread and a runtime for each processor, as the shop has them. The \
         load generator's share of the processors is the same for all, so the last two columns say what a request costs the server alone.",
    ),
    (
        "three",
        "Three servers",
        "Frontend, order server and catalog as processes of their own against one process, on the same cores, under the same load. \
         The frontend serves by a thread for every second core (`--threads`), as the other two do anyway; the one process has a thread for each. \
         Calls that wait for the same server travel as one request, so that the catalog hears few requests for many purchases.",
    ),
    (
        "growth",
        "Growth",
        "Small and large shops alternate, 400,000 purchases each time (1,200,000 with the many books, 50,000 under random ids), so that the store \
         writes several stock snapshots in each. A small ledger grows by what is measured; it is a new one in every round.",
    ),
    (
        "overload",
        "Overload",
        "Requests come at a fixed rate, whether or not the server keeps up, and no buyer waits for \
         another. The server has one core and the load generator the other one; else more load would leave less processor to the server. The \
         generator opens at most 3,500 connections, and what finds all of them busy is not sent: *sent* says what really arrived. \
         Latencies count from the moment when a request was due.",
    ),
    ("start", "Start", "From `exec` until `GET /readyz` answers 200, with the files in the page cache."),
    (
        "baselines",
        "Other designs",
        "The textbook design asks whether a book is in stock, then decrements, then writes the order: each step a transaction. The second \
         one is safe: one transaction takes the stock if there is any and writes the order, and waits for the disk. Both are on \
         SQLite with WAL and `synchronous=FULL`. Oversells: 300 purchases of 256 buyers for 100 copies, five times.",
    ),
];

const HEAD: &str = "<!-- Written by `figures` (benches/src/figures/readme.rs); do not edit. -->
# Benchmarks

One command measures all of this again and writes this page, the plots beside it and [`results.json`](results.json) with every single
measurement. It needs Linux, builds the executable first, and takes about twelve minutes on two cores; nothing else should run meanwhile.

```sh
cargo run --release -p bookstore-benches --bin figures              # all sections
cargo run --release -p bookstore-benches --bin figures -- http      # one of them; the others keep their last results
cargo run --release -p bookstore-benches --bin figures -- --quick   # a short try, written below target/ only
```

Every figure is the median of alternating rounds, with the least and the most in brackets. What counts is the **ratio** of two figures of
the same run, since machines and their noise differ. The files are on the disk of the `target` folder, and every purchase is durable,
unless it says otherwise.

A change is measured against the tree before it, by a second command. It builds the other commit below `target/`, lets the two sides
alternate in 24 rounds under the same load generator, prints the median ratio with its 95 % interval, and fails if a budget is missed:

| against the pinned commit | budget |
|---|---:|
| durable purchases in process (256, 1,024, 4,096 tasks) | ratio ≥ 0.92 |
| durable purchases over HTTP, `GET /info/{id}`, three servers | ratio ≥ 0.88 |
| a plain purchase in the file | ≤ 90 bytes |
| resident memory with 60,638 books under load | ≤ 120 MB |
| from exec to ready, after a clean stop and after `kill -9` | ≤ 60 ms |
| the executable | ≤ 22 MB |

```sh
cargo run --release -p bookstore-benches --bin compare                      # this tree against the pinned commit
cargo run --release -p bookstore-benches --bin compare -- in-process http   # only these sections
cargo run --release -p bookstore-benches --bin compare -- --old A --new B   # two builds: folders with `bookstore` and `purchase_worker`
```

The same races run under criterion, with more variants, but with servers and buyers in one process:

```sh
cargo bench -p bookstore-benches --bench purchase_race   # 1 to 4,096 buyers x hot, zipf, uniform x memory, SQLite x direct, HTTP, three servers
cargo bench -p bookstore-benches --bench check           # the history checker
```
";

/// Writes the page and its plots.
pub(crate) fn write(results: &Results, folder: &Path) -> Result<()> {
    plots::write(results, &folder.join("plots"))?;
    Ok(fs::write(folder.join("README.md"), page(results))?)
}

fn page(results: &Results) -> String {
    let mut page = HEAD.to_owned();
    let measured: Vec<(&str, &str, &Section)> = SECTIONS
        .into_iter()
        .filter_map(|(name, title, text)| {
            results.sections.iter().find(|section| section.name == name).map(|section| (title, text, section))
        })
        .collect();
    let Some((_, _, first)) = measured.first() else { return page };
    let targets: Vec<&Target> = measured.iter().flat_map(|(_, _, section)| &section.targets).collect();
    let reached = targets.iter().filter(|target| target.is_reached()).count();
    let _ = write!(
        page,
        "\n## What is asked for\n\n{reached} of {} targets are reached. Machine: {}.\n\n![targets](plots/targets.svg)\n",
        targets.len(),
        first.environment.machine()
    );
    for (title, text, section) in &measured {
        let _ = write!(page, "\n## {title}\n\n{text}\n\n{}\n", measured_at(section, &first.environment));
        page.push_str(&figures(section));
        for Chart { file, title, .. } in &section.charts {
            let _ = write!(page, "\n![{title}](plots/{file}.svg)\n");
        }
    }
    page
}

fn measured_at(section: &Section, first: &Environment) -> String {
    let Environment { date, commit, .. } = &section.environment;
    let took = section.seconds;
    if section.environment.machine() == first.machine() {
        format!("Measured {date} at commit `{commit}`, in {took} s.")
    } else {
        format!(
            "Measured {date} at commit `{commit}`, in {took} s, on another machine: {}.",
            section.environment.machine()
        )
    }
}

/// A section's tables, and which targets are reached.
fn figures(section: &Section) -> String {
    let mut text = String::new();
    for table in &section.tables {
        let _ = write!(text, "\n**{}**\n\n{}", table.caption, markdown(table));
    }
    if !section.targets.is_empty() {
        let mut table = Table::new("", &["target", "asked for", "measured", "reached"]);
        section.targets.iter().for_each(|target| table.row(judged(target)));
        let _ = write!(text, "\n{}", markdown(&table));
    }
    text
}

/// A section for the terminal.
pub(crate) fn text(section: &Section) -> String {
    format!("\n# {} ({} s)\n{}", section.name, section.seconds, figures(section))
}

fn judged(target: &Target) -> [String; 4] {
    let [least, most] = target.spread.map(format_number);
    let median = format_number(target.measured);
    let measured = if least == most { median } else { format!("{median} ({least}–{most})") };
    [target.what.clone(), target.bound.to_string(), measured, if target.is_reached() { "yes" } else { "**no**" }.into()]
}

fn markdown(table: &Table) -> String {
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let rule = format!("|---{}|\n", "|---:".repeat(table.head.len() - 1));
    let rows: String = table.rows.iter().map(|row| line(row)).collect();
    format!("{}{rule}{rows}", line(&table.head))
}
