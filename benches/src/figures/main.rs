//! Measures everything that `benches/README.md` shows, and writes that page, its plots and `results.json`.
//!
//! ```sh
//! cargo run --release -p bookstore-benches --bin figures              # all sections
//! cargo run --release -p bookstore-benches --bin figures -- http      # one; the others keep their last results
//! cargo run --release -p bookstore-benches --bin figures -- --quick   # a short try, written below target/ only
//! ```

mod bare;
mod baselines;
mod context;
mod generator_process;
mod growth;
mod http;
mod in_process;
mod overload;
mod plots;
mod readme;
mod recorded;
mod report;
mod start;
mod three;

use clap::{Parser, ValueEnum};
use std::{path::PathBuf, process::ExitCode, time::Instant};

use bookstore_benches::Result;
use context::Context;
use report::{Results, Section};

// As the executable: an allocator must not be what makes the difference to the bare server.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Measures the bookstore and writes benches/README.md with its plots
#[derive(Debug, Parser)]
struct Args {
    /// What to measure [default: everything]
    #[arg(value_enum)]
    sections: Vec<Part>,
    /// Short measurements, written below target/ only: to see that everything works
    #[arg(long)]
    quick: bool,
    /// Measure nothing: write the page and the plots from results.json
    #[arg(long, conflicts_with = "sections")]
    render: bool,
    /// Books for the real-sized catalogue (.csv, .jsonl, .jsonl.gz) instead of generated ones
    #[arg(long, value_name = "FILE")]
    books: Option<PathBuf>,
    /// Be the bare server that answers from this file (started by the benchmarks themselves)
    #[arg(long, value_name = "FILE", hide = true)]
    bare: Option<PathBuf>,
    /// With a thread and a runtime for each processor
    #[arg(long, requires = "bare", hide = true)]
    threads: bool,
    /// Be the load generator of this JSON (started by the benchmarks themselves)
    #[arg(long, value_name = "JSON", hide = true)]
    load: Option<String>,
}

/// A section of the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Durable purchases in the shop's own process, against the raw ceiling
    InProcess,
    /// One server over HTTP, against a bare hyper server
    Http,
    /// Three servers against one
    Three,
    /// Ten million entries, a million books, random ids
    Growth,
    /// Four times the load that one server can take
    Overload,
    /// From exec to ready
    Start,
    /// Other designs
    Baselines,
}

impl Part {
    fn measure(self, context: &Context) -> Result<Section> {
        match self {
            Self::InProcess => in_process::measure(context),
            Self::Http => http::measure(context),
            Self::Three => three::measure(context),
            Self::Growth => growth::measure(context),
            Self::Overload => overload::measure(context),
            Self::Start => start::measure(context),
            Self::Baselines => baselines::measure(context),
        }
    }
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("figures: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<()> {
    if let Some(answers) = &args.bare {
        return bare::serve(answers, args.threads);
    }
    if let Some(load) = &args.load {
        return generator_process::run(load);
    }
    let benches = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    if args.render {
        return readme::write(&Results::load(&benches)?, &benches);
    }
    let context = Context::new(args.quick, args.books.as_deref())?;
    let output = if args.quick { context.quick_output()? } else { benches };
    let mut results = Results::load(&output)?;
    let parts = if args.sections.is_empty() { Part::value_variants() } else { &args.sections };
    for part in parts {
        let started = Instant::now();
        eprintln!("{part:?} …");
        let mut section = part.measure(&context)?;
        section.seconds = started.elapsed().as_secs();
        eprintln!("{}", readme::text(&section));
        results.put(section);
        // After each one: a later failure loses nothing.
        results.save(&output)?;
        readme::write(&results, &output)?;
    }
    eprintln!("written to {}", output.display());
    Ok(())
}
