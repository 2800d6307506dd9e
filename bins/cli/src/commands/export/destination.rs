//! Where an export goes.

use std::{
    fs,
    io::{self, BufWriter, Stdout, Write},
    path::{Path, PathBuf},
};
use tempfile::NamedTempFile;

use super::{Failure, not_written};

/// A file that gets its name when it is whole, or standard output.
pub(super) enum Destination {
    File { to: PathBuf, file: BufWriter<NamedTempFile> },
    Stdout(BufWriter<Stdout>),
}

impl Destination {
    /// Opens a new file beside the one that is to be written, for its owner only, or standard output.
    pub(super) fn open(output: Option<&Path>) -> Result<Self, Failure> {
        let Some(output) = output else { return Ok(Self::Stdout(BufWriter::new(io::stdout()))) };
        let refused = |why: String| Failure::Usage(format!("--output {}: {why}", output.display()));
        // Behind a link, so that the link stays.
        let to = output.canonicalize().unwrap_or_else(|_| output.to_path_buf());
        if fs::metadata(&to).is_ok_and(|meta| !meta.is_file()) {
            return Err(refused("it is there, and is no file".into()));
        }
        let Some(name) = to.file_name() else { return Err(refused("it is no name of a file".into())) };
        let folder = to.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let prefix = format!(".{}.", name.to_string_lossy());
        let file = tempfile::Builder::new().prefix(&prefix).suffix(".part").tempfile_in(folder);
        let file = file.map_err(|error| refused(error.to_string()))?;
        Ok(Self::File { to, file: BufWriter::new(file) })
    }

    pub(super) fn writer(&mut self) -> &mut dyn Write {
        match self {
            Self::File { file, .. } => file,
            Self::Stdout(stdout) => stdout,
        }
    }

    /// Gives the whole file its name, in place of one that had it before, durably. Says where everything is.
    pub(super) fn keep(self) -> Result<String, Failure> {
        match self {
            Self::File { to, file } => {
                let file = file.into_inner().map_err(|error| not_written(error.into_error()))?;
                file.as_file().sync_all().map_err(not_written)?;
                file.persist(&to).map_err(|error| not_written(error.error))?;
                Ok(to.display().to_string())
            }
            Self::Stdout(mut stdout) => {
                stdout.flush().map_err(not_written)?;
                Ok("to standard output".into())
            }
        }
    }

    /// The same failure, with what has become of what was written.
    pub(super) fn cut_off(&self, failure: Failure, written: &str) -> Failure {
        let what = match self {
            Self::File { to, .. } => format!("The export was cut off after {written}; {} is as it was.", to.display()),
            Self::Stdout(_) => format!("The export was cut off after {written}: what was written is not whole."),
        };
        match failure {
            Failure::Answer { error, hint: None } => Failure::Answer { error, hint: Some(what) },
            Failure::Failed(why) => Failure::Failed(format!("{why}\n{what}")),
            other => other,
        }
    }
}
