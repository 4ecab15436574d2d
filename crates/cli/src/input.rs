//! Reading what the user named, never more than a stated number of bytes of it.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

use anyhow::Result;
use ctalk::Class;

use crate::exit::Complaint;

/// Reads a file, or stdin for `-`, into `buffer`.
///
/// The buffer never grows when it has room for one byte more than `max`.
pub(crate) fn read(source: &Path, max: usize, buffer: &mut Vec<u8>) -> Result<()> {
    let is_stdin = source == Path::new("-");
    let name = if is_stdin {
        "stdin".to_owned()
    } else {
        source.display().to_string()
    };
    let limit = max as u64 + 1;
    let outcome = if is_stdin {
        io::stdin().lock().take(limit).read_to_end(buffer)
    } else {
        File::open(source).and_then(|file| file.take(limit).read_to_end(buffer))
    };
    match outcome {
        Err(error) => {
            Err(Complaint::new(Class::Usage, format!("cannot read {name}: {error}")).into())
        }
        Ok(length) if length > max => Err(Complaint::new(
            Class::Malformed,
            format!("{name} has more than {max} bytes"),
        )
        .into()),
        Ok(_) => Ok(()),
    }
}
