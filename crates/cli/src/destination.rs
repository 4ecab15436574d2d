//! Where the result of a long piece of work goes: stdout, or a file that is there only when it is
//! complete.

use std::{
    fs::{File, Permissions},
    io::{self, IsTerminal, Write},
    os::{fd::AsFd, unix::fs::PermissionsExt},
    path::{Path, PathBuf},
};

use anyhow::Result;
use ctalk::{
    Class,
    text::{escaped, is_unsafe},
};
use tempfile::{NamedTempFile, TempPath};

use crate::exit::Complaint;

/// A place for a result. Dropping it removes what is not complete.
pub(crate) struct Destination {
    file: Option<(TempPath, PathBuf)>,
}

impl Destination {
    /// The file of this name, which must not exist, or stdout. Returns it with its writer.
    pub(crate) fn begin(file: Option<PathBuf>) -> Result<(Self, Box<dyn Write + Send>)> {
        let Some(path) = file else {
            let stdout = io::stdout();
            let writer: Box<dyn Write + Send> = if stdout.is_terminal() {
                Box::new(Shown(stdout))
            } else {
                // Past the buffer of Rust's own stdout, which holds whole lines back.
                Box::new(File::from(stdout.as_fd().try_clone_to_owned()?))
            };
            return Ok((Self { file: None }, writer));
        };
        if path.symlink_metadata().is_ok() {
            return Err(exists(&path).into());
        }
        let folder = match path.parent() {
            Some(folder) if folder != Path::new("") => folder,
            _ => Path::new("."),
        };
        let made = temporary(folder).map_err(|error| refused(&path, &error))?;
        let (writer, temporary) = made.into_parts();
        let file = Some((temporary, path));
        Ok((Self { file }, Box::new(writer)))
    }

    /// Gives the file its name.
    pub(crate) fn complete(self) -> Result<()> {
        let Some((temporary, path)) = self.file else {
            return Ok(());
        };
        temporary
            .persist_noclobber(&path)
            .map_err(|failed| match failed.error.kind() {
                io::ErrorKind::AlreadyExists => exists(&path),
                _ => refused(&path, &failed.error),
            })?;
        Ok(())
    }
}

/// A file that is removed unless it is given another name.
pub(crate) fn temporary(folder: &Path) -> io::Result<NamedTempFile> {
    tempfile::Builder::new()
        .prefix(".ctalk-")
        // Less what the umask takes away, as for any other file.
        .permissions(Permissions::from_mode(0o666))
        .tempfile_in(folder)
}

fn exists(path: &Path) -> Complaint {
    let text = format!("{} exists, and nothing is overwritten", path.display());
    Complaint::new(Class::Usage, text).hint("name another file, or remove this one")
}

fn refused(path: &Path, error: &io::Error) -> Complaint {
    let text = format!("cannot write {}: {error}", path.display());
    Complaint::new(Class::Usage, text)
}

/// A terminal, which foreign text must not steer.
struct Shown(io::Stdout);

impl Write for Shown {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut shown = String::with_capacity(bytes.len());
        for chunk in bytes.utf8_chunks() {
            for line in chunk.valid().split_inclusive(is_layout) {
                let text = line.trim_end_matches(is_layout);
                shown.push_str(&escaped(text));
                shown.extend(line.chars().rev().take_while(|last| is_layout(*last)));
            }
            if !chunk.invalid().is_empty() {
                shown.push(char::REPLACEMENT_CHARACTER);
            }
        }
        self.0.write_all(shown.as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Characters that lay a text out and do nothing else.
fn is_layout(character: char) -> bool {
    is_unsafe(character) && matches!(character, '\n' | '\t')
}
