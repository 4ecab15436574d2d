//! Keeping what was received as files, under names that strangers chose.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

use anyhow::Result;
use ctalk::{Class, Content, Received, text::is_unsafe};
use tempfile::TempPath;

use crate::{destination, exit::Complaint};

/// Longest name before it is numbered, in bytes; most file systems allow 255.
const MAX_NAME: usize = 200;
/// Longest extension, with its dot, in bytes; what is longer is cut like the rest of the name.
const MAX_EXTENSION: usize = 20;
/// How many files may differ in their number only.
const MAX_SAME: u32 = 1000;

/// A folder for what was received.
pub(crate) struct Folder(PathBuf);

impl Folder {
    /// Takes a folder that exists.
    pub(crate) fn open(path: PathBuf) -> Result<Self> {
        match fs::metadata(&path) {
            Ok(found) if found.is_dir() => Ok(Self(path)),
            Ok(_) => Err(not_usable(&path, &io::ErrorKind::NotADirectory.into())),
            Err(error) => Err(not_usable(&path, &error)),
        }
    }

    /// Writes a message that is a file, so that it outlives a crash, and says where; `None` for a
    /// message that is not: only envelopes carry names and bytes, so what nobody signed never is
    /// one. Nothing is overwritten.
    pub(crate) fn save(&self, message: &Received) -> Result<Option<PathBuf>> {
        if message.name.is_none() && !matches!(message.payload, Content::Bytes(_)) {
            return Ok(None);
        }
        let given = message.name.as_deref().and_then(FileName::new);
        let names = given.into_iter().chain([FileName::of_message(message)]);
        let path = self.write(message.payload.as_bytes(), names);
        let path = path.map_err(|error| {
            let text = format!("cannot save a file in {}: {error}", self.0.display());
            Complaint::new(Class::Usage, text)
                .hint("its message stays in the inbox for the next `ctalk recv`")
        })?;
        Ok(Some(path))
    }

    fn write(
        &self,
        content: &[u8],
        names: impl IntoIterator<Item = FileName>,
    ) -> io::Result<PathBuf> {
        let (mut file, temporary) = destination::temporary(&self.0)?.into_parts();
        file.write_all(content)?;
        file.sync_all()?;
        let path = self.persist(temporary, names)?;
        // The name has to last as well.
        File::open(&self.0)?.sync_all()?;
        Ok(path)
    }

    /// Gives a file the first free name that the file system takes.
    fn persist(
        &self,
        mut temporary: TempPath,
        names: impl IntoIterator<Item = FileName>,
    ) -> io::Result<PathBuf> {
        let mut refusal = io::ErrorKind::InvalidFilename.into();
        for name in names {
            for number in 0..MAX_SAME {
                let path = self.0.join(name.numbered(number));
                match temporary.persist_noclobber(&path) {
                    Ok(()) => return Ok(path),
                    Err(failed) => (temporary, refusal) = (failed.path, failed.error),
                }
                if refusal.kind() != io::ErrorKind::AlreadyExists {
                    // Some allow fewer characters. A name must not keep its message from arriving.
                    break;
                }
            }
        }
        Err(refusal)
    }
}

fn not_usable(path: &Path, error: &io::Error) -> anyhow::Error {
    let text = format!("cannot save in {}: {error}", path.display());
    Complaint::new(Class::Usage, text)
        .hint("--save takes a folder that exists")
        .into()
}

/// A file's name that leads nowhere else, hides nothing and is no option of any program.
#[derive(Debug, PartialEq, Eq)]
struct FileName {
    stem: String,
    /// With its dot, or empty.
    extension: String,
}

impl FileName {
    /// The usable part of a name; `None` where nothing is left.
    fn new(name: &str) -> Option<Self> {
        let last = name.rsplit(['/', '\\']).next()?;
        let visible: String = last.chars().filter(|found| !is_unsafe(*found)).collect();
        let bare = visible
            .trim_start_matches(|first: char| matches!(first, '.' | '-') || first.is_whitespace())
            .trim_end();
        let (stem, extension) = match bare.rfind('.').and_then(|dot| bare.split_at_checked(dot)) {
            Some(parts) if parts.1.len() <= MAX_EXTENSION => parts,
            _ => (bare, ""),
        };
        let end = stem.floor_char_boundary(MAX_NAME.saturating_sub(extension.len()));
        let stem = stem.get(..end).filter(|stem| !stem.is_empty())?;
        Some(Self {
            stem: stem.to_owned(),
            extension: extension.to_owned(),
        })
    }

    /// The name of a file whose sender named none that can be used.
    fn of_message(message: &Received) -> Self {
        let id = message.id.as_deref().unwrap_or_default();
        // An envelope's id consists of hex digits alone.
        let id: String = id.chars().filter(char::is_ascii_hexdigit).collect();
        Self {
            stem: format!("message-{id}"),
            extension: String::new(),
        }
    }

    /// The name itself for 0, else the name with this number before its extension.
    fn numbered(&self, number: u32) -> String {
        let Self { stem, extension } = self;
        match number {
            0 => format!("{stem}{extension}"),
            _ => format!("{stem}-{number}{extension}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{FileName, Folder, MAX_NAME, MAX_SAME};

    fn shown(name: &str) -> Option<String> {
        FileName::new(name).map(|name| name.numbered(0))
    }

    #[test]
    fn a_harmless_name_stays_as_it_is() {
        for name in [
            "report.pdf",
            "a.tar.gz",
            "Jahresübersicht 2026 (2).ods",
            "no-extension",
            "ends.",
            "日本語.txt",
        ] {
            assert_eq!(shown(name).as_deref(), Some(name));
        }
    }

    #[test]
    fn a_name_leads_to_no_other_folder_and_hides_nothing() {
        for (name, kept) in [
            ("../../etc/passwd", "passwd"),
            ("/etc/cron.d/job", "job"),
            (r"C:\Windows\win.ini", "win.ini"),
            ("-rf", "rf"),
            ("--help.txt", "help.txt"),
            (".bashrc", "bashrc"),
            ("\u{200b}.-\u{2060} .profile", "profile"),
            ("a\u{202e}fdp.exe", "afdp.exe"),
            ("a\n\r\u{1b}[2Jb\0c", "a[2Jbc"),
            ("  spaced .txt \t", "spaced .txt"),
        ] {
            assert_eq!(shown(name).as_deref(), Some(kept), "{name:?}");
        }
    }

    #[test]
    fn a_name_of_which_nothing_is_left_is_none() {
        for name in [
            "", ".", "..", "...", "-", "/", "a/", "a\\", " ", "\u{202e}", "../.-.",
        ] {
            assert_eq!(shown(name), None, "{name:?}");
        }
    }

    #[test]
    fn a_long_name_is_cut_between_characters_and_keeps_its_extension() {
        for letter in ["x", "é", "日", "🦀"] {
            let name = shown(&format!("{}.pdf", letter.repeat(300))).unwrap();
            assert!(name.ends_with(&format!("{letter}.pdf")), "{name}");
            assert!((MAX_NAME - 3..=MAX_NAME).contains(&name.len()), "{name}");
        }
        let name = shown(&format!("a.{}", "x".repeat(300))).unwrap();
        assert_eq!(name.len(), MAX_NAME);
    }

    #[test]
    fn a_name_that_the_file_system_refuses_gives_way_to_the_next() {
        let folder = tempfile::tempdir().unwrap();
        let name = |stem: &str| FileName {
            stem: stem.to_owned(),
            extension: String::new(),
        };
        let names = [name(&"x".repeat(300)), name("fallback")];
        let open = || Folder::open(folder.path().to_owned()).unwrap();
        let path = open().write(b"content", names).unwrap();
        assert_eq!(path, folder.path().join("fallback"));
        assert_eq!(fs::read(path).unwrap(), b"content");
        open().write(b"", [name(&"x".repeat(300))]).unwrap_err();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn files_of_one_name_are_numbered_up_to_a_limit() {
        let folder = tempfile::tempdir().unwrap();
        let open = Folder::open(folder.path().to_owned()).unwrap();
        let name = |name| FileName::new(name).unwrap();
        for number in 0..MAX_SAME {
            fs::write(folder.path().join(name("a.b").numbered(number)), "").unwrap();
        }
        let path = open.write(b"", [name("a.b"), name("c")]).unwrap();
        assert_eq!(path, folder.path().join("c"));
        let path = open.write(b"", [name("a.b"), name("c")]).unwrap();
        assert_eq!(path, folder.path().join("c-1"));
    }
}
