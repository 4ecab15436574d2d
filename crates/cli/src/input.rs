//! Reading what the user named, never more than a stated number of bytes of it.

use std::{
    fs::File,
    io::{self, Read},
    os::fd::AsFd,
    path::Path,
};

use anyhow::Result;
use ctalk::Class;

use crate::exit::Complaint;

/// Reads a file, or stdin for `-`, into `buffer`.
///
/// The buffer never grows when it has room for one byte more than `max`.
pub(crate) fn read(source: &Path, max: usize, buffer: &mut Vec<u8>) -> Result<()> {
    let is_stdin = is_stdin(source);
    let name = if is_stdin {
        "stdin".to_owned()
    } else {
        source.display().to_string()
    };
    if is_stdin {
        read_all(io::stdin().lock(), &name, max, buffer)
    } else {
        let file = File::open(source).map_err(|error| cannot_read(&name, &error))?;
        read_all(file, &name, max, buffer)
    }
}

/// Reads everything from a reader of this name into `buffer`, as [`read`] does.
pub(crate) fn read_all(
    reader: impl Read,
    name: &str,
    max: usize,
    buffer: &mut Vec<u8>,
) -> Result<()> {
    let length = reader
        .take(max as u64 + 1)
        .read_to_end(buffer)
        .map_err(|error| cannot_read(name, &error))?;
    if length > max {
        let text = format!("{name} has more than {max} bytes");
        return Err(Complaint::new(Class::Malformed, text).into());
    }
    Ok(())
}

fn cannot_read(name: &str, error: &io::Error) -> Complaint {
    Complaint::new(Class::Usage, format!("cannot read {name}: {error}"))
}

/// Opens a file, or stdin for `-`, for reading any number of bytes. Returns it with its length
/// where that is known.
pub(crate) fn open(source: &Path) -> Result<(File, Option<u64>)> {
    let opened = if is_stdin(source) {
        // Past the buffer of Rust's own stdin, from which nothing was read.
        io::stdin().as_fd().try_clone_to_owned().map(File::from)
    } else {
        File::open(source)
    };
    let complain = |error: io::Error| cannot_read(&source.display().to_string(), &error);
    let file = opened.map_err(complain)?;
    let metadata = file.metadata().map_err(complain)?;
    if metadata.is_dir() {
        return Err(complain(io::ErrorKind::IsADirectory.into()).into());
    }
    Ok((file, metadata.is_file().then_some(metadata.len())))
}

/// Whether a source stands for stdin.
pub(crate) fn is_stdin(source: &Path) -> bool {
    source == Path::new("-")
}
